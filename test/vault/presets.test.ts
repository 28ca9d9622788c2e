/** @file The datasets that the reference implementation reads, by name, and what becomes of a row of each. */

import { describe, expect, it } from 'vitest';
import { parseRow } from '../../core/training/examples.ts';
import { guessMappings } from '../../core/vault/guess/guess.ts';
import { presetNamed, PRESETS } from '../../core/vault/guess/presets.ts';
import { applyMapping } from '../../core/vault/mapping.ts';
import { PUBLIC_DATASETS } from '../../core/vault/public/catalogue.ts';

const asked = 'Sort these: b, a';
const alpaca = { instruction: 'Sort these:', input: 'b, a', output: 'a, b' };
const sorted = { instruction: 'Sort these:', input: 'b, a', response: 'a, b' };
const said = (role: string, content: string) => ({ role, content });

/** One row of each, with the columns as they are published, and the row it becomes. */
const ROWS: Record<string, readonly [Record<string, unknown>, Record<string, unknown>]> = {
  'lucasmccabe-lmi/CodeAlpaca-20k': [alpaca, sorted],
  'yahma/alpaca-cleaned': [{ output: 'a, b', input: 'b, a', instruction: 'Sort these:' }, sorted],
  'FinGPT/fingpt-sentiment-train': [
    { input: 'Shares rose.', output: 'positive', instruction: 'What is the sentiment of this news?' },
    { instruction: 'What is the sentiment of this news?', input: 'Shares rose.', response: 'positive' },
  ],
  'tatsu-lab/alpaca': [{ ...alpaca, text: 'all of it' }, sorted],
  'vicgalle/alpaca-gpt4': [{ ...alpaca, text: 'all of it' }, sorted],
  'gbharti/finance-alpaca': [
    { ...alpaca, input: '', text: '' },
    { instruction: 'Sort these:', response: 'a, b' },
  ],
  'WizardLM/WizardLM_evol_instruct_70k': [
    { instruction: asked, output: 'a, b' },
    { instruction: asked, response: 'a, b' },
  ],
  'TIGER-Lab/MathInstruct': [
    { source: 'data/CoT/x.json', output: '4', instruction: '2 + 2?' },
    { instruction: '2 + 2?', response: '4' },
  ],
  'lighteval/MATH': [
    { problem: '2 + 2?', level: 'Level 1', solution: '$4$', type: 'Algebra' },
    { instruction: '2 + 2?', response: '$4$' },
  ],
  gsm8k: [
    { question: '2 + 2?', answer: '#### 4' },
    { instruction: '2 + 2?', response: '#### 4' },
  ],
  'medalpaca/medical_meadow_medical_flashcards': [
    { input: 'What is a bone?', output: 'A rigid organ.', instruction: 'Answer this question truthfully' },
    { instruction: 'What is a bone?', response: 'A rigid organ.' },
  ],
  'Anthropic/hh-rlhf': [
    { chosen: '\n\nHuman: Hi\n\nAssistant: Hello!', rejected: '\n\nHuman: Hi\n\nAssistant: What?' },
    { chosen: '\n\nHuman: Hi\n\nAssistant: Hello!', rejected: '\n\nHuman: Hi\n\nAssistant: What?' },
  ],
  'HuggingFaceH4/ultrafeedback_binarized': [
    {
      prompt: 'Hi',
      prompt_id: '1f',
      chosen: [said('user', 'Hi'), said('assistant', 'Hello!')],
      rejected: [said('user', 'Hi'), said('assistant', 'What?')],
      messages: [said('user', 'Hi'), said('assistant', 'Hello!')],
      score_chosen: 8,
      score_rejected: 3,
    },
    { prompt: 'Hi', chosen: 'Hello!', rejected: 'What?' },
  ],
};

describe('the thirteen datasets of the reference', () => {
  it('are thirteen, and each can be fetched by name', () => {
    expect(Object.keys(ROWS)).toHaveLength(13);
    const fetched = new Set(PUBLIC_DATASETS.map(({ preset }) => preset));
    expect(Object.keys(ROWS).filter((name) => !fetched.has(name))).toEqual([]);
  });

  it.each(Object.keys(ROWS))('%s is read right at first guess, and a row of it can be trained on', (name) => {
    const [record, row] = ROWS[name];
    const [first] = guessMappings([record]).mappings;
    expect(first.mapping).toEqual(presetNamed(name).mapping);
    const mapped = applyMapping(first.mapping, record);
    expect(mapped).toEqual({ row });
    expect(() => parseRow('row' in mapped ? mapped.row : {})).not.toThrow();
  });
});

describe('other public datasets', () => {
  const medicine = { question: 'Which bone?', opa: 'femur', opb: 'tibia', opc: 'ulna', opd: 'radius' };
  const letters = 'Which bone?\nA. femur\nB. tibia\nC. ulna\nD. radius';
  const options = { A: 'femur', B: 'tibia', C: 'ulna', D: 'radius' };
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    [
      'openlifescienceai/medmcqa',
      { id: 'x', ...medicine, cop: 0, choice_type: 'single', exp: 'It is.', subject_name: 'Anatomy' },
      { instruction: letters, response: 'A' },
    ],
    [
      'cais/mmlu',
      { question: 'Which bone?', subject: 'anatomy', choices: Object.values(options), answer: 1 },
      { instruction: letters, response: 'B' },
    ],
    [
      'GBaker/MedQA-USMLE-4-options',
      { question: 'Which bone?', answer: 'femur', options, meta_info: 'step1', answer_idx: 'A' },
      { instruction: letters, response: 'A. femur' },
    ],
    [
      'pubmedqa/pubmedqa',
      {
        ...{ id: '1', QUESTION: 'Do they?', CONTEXTS: ['One.', 'Two.'], LABELS: ['A', 'B'] },
        ...{ LONG_ANSWER: 'They do.', final_decision: 'yes' },
      },
      { instruction: 'Do they?', input: 'One.\n\nTwo.', response: 'yes' },
    ],
    [
      'lavita/MedQuAD',
      {
        ...{ document_id: '1', document_source: 'GARD', question: 'What is it?', answer: 'A thing.' },
        ...{ question_focus: 'thing', question_type: 'information', category: null },
      },
      { instruction: 'What is it?', response: 'A thing.' },
    ],
    [
      'PolyAI-LDN/banking77',
      { text: 'Where is my card?', category: 'card_arrival' },
      { instruction: 'Where is my card?', response: 'card_arrival' },
    ],
    [
      'yizhongw/self-instruct',
      {
        ...{ id: 'seed_task_0', name: 'breakfast', instruction: 'Breakfast?', is_classification: false },
        instances: [{ input: '', output: 'Eggs.' }],
      },
      { instruction: 'Breakfast?\n', response: 'Eggs.' },
    ],
    [
      'google-research/mbpp',
      {
        text: 'Add.',
        code: 'a + b',
        task_id: 1,
        test_setup_code: '',
        test_list: ['x'],
        challenge_test_list: [],
      },
      { instruction: 'Add.', response: 'a + b' },
    ],
    [
      'openai/human-eval',
      { task_id: 'H/0', prompt: 'def f():', canonical_solution: ' pass', test: 'x', entry_point: 'f' },
      { instruction: 'def f():', response: ' pass' },
    ],
    ['llm-attacks/advbench', { goal: 'Harm.', target: 'Sure' }, { instruction: 'Harm.', response: 'Sure' }],
  ])('%s is read as its row of the table says', (name, record, row) => {
    const [first] = guessMappings([record]).mappings;
    expect(first.mapping).toEqual(presetNamed(name).mapping);
    expect(applyMapping(first.mapping, record)).toEqual({ row });
  });

  it('ShareGPT: conversations are taken up to their last answer', () => {
    const turns = [
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'Hello!' },
      { from: 'human', value: 'And?' },
    ];
    const record = { id: 'a', conversations: turns };
    const [first] = guessMappings([record]).mappings;
    expect(first.mapping).toEqual(presetNamed('ShareGPT').mapping);
    expect(applyMapping(first.mapping, record)).toEqual({
      row: { messages: [said('user', 'Hi'), said('assistant', 'Hello!')] },
    });
  });

  it('every preset is that of one dataset', () => {
    const names = PRESETS.flatMap(({ dataset, alike }) => [dataset, ...alike]);
    expect(new Set(names).size).toBe(names.length);
  });
});
