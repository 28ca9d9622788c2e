import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';

import { openModel } from '../../core/model/open.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { answerTree, type AnswerTokens } from '../../core/training/answer-tree.ts';
import { tokenizeAnswers } from '../../core/training/answer-tokens.ts';
import { modelTemplate } from '../../core/training/model-text.ts';
import type { AnswerQuestion } from '../../core/training/requests.ts';
import { tokenizeText } from '../../core/training/tokens.ts';
import { Trainer } from '../../core/training/trainer.ts';
import { Random } from '../../core/random.ts';

const text = (ids: readonly number[], answer: number): AnswerTokens => ({
  ids: Int32Array.from(ids),
  answer,
});

describe('answerTree', () => {
  it('gives answers of one token no place of their own', () => {
    const { ids, positions, segments, targets } = answerTree(
      [text([1, 2, 3, 7], 3), text([1, 2, 3, 8], 3)],
      1,
    );
    expect([...ids]).toEqual([2, 3]);
    expect([...positions]).toEqual([1, 2]);
    expect(segments).toEqual([{ row: 0, start: 0, length: 2, parent: null }]);
    expect([...targets.places]).toEqual([1, 1]);
    expect([...targets.labels]).toEqual([7, 8]);
    expect([...targets.examples]).toEqual([0, 1]);
  });

  it('branches where answers part', () => {
    const { ids, segments, targets } = answerTree(
      [text([1, 5, 6, 7], 1), text([1, 5, 8, 9], 1), text([2, 5], 1)],
      0,
    );
    expect([...ids]).toEqual([1, 5, 6, 8, 2]);
    expect(segments.map(({ start, length, parent }) => [start, length, parent])).toEqual([
      [0, 2, null],
      [2, 1, 0],
      [3, 1, 0],
      [4, 1, null],
    ]);
    expect([...targets.places]).toEqual([0, 1, 2, 0, 1, 3, 4]);
    expect([...targets.labels]).toEqual([5, 6, 7, 5, 8, 9, 5]);
  });
});

const words = ['card', 'lost', 'the', 'transfer', 'top', 'up', 'Ωmega', 'x', 'naïve', '12.50'];
const sentence = (random: Random, length: number): string =>
  Array.from({ length }, () => words[random.below(words.length)]).join(' ');

describe('tokenizeAnswers', () => {
  it('gives the tokens of the whole text for every answer, in a template and without', async () => {
    const model = await openModel('tiny');
    const random = new Random('answers');
    for (let round = 0; round < 12; round++) {
      const request = `${sentence(random, 3 * round)}\n${sentence(random, round)}`;
      const answers = Array.from({ length: 5 }, () => sentence(random, 1 + random.below(4)));
      const template = modelTemplate(model, 'chat');
      const chat: AnswerQuestion = { prompt: [{ role: 'user', content: `${request}?` }], answers };
      const plain: AnswerQuestion = {
        prompt: `${request}\nAnswer:`,
        answers: answers.map((answer) => ` ${answer}`),
      };
      const { tokenizer } = model;
      for (const [index, content] of answers.entries()) {
        const rendered = template.render({
          kind: 'conversation',
          messages: [
            { role: 'user', content: `${request}?` },
            { role: 'assistant', content },
          ],
        });
        const whole = tokenizeText(rendered, tokenizer, Infinity);
        const found = tokenizeAnswers(chat, { template, tokenizer })[index];
        expect([...found.ids]).toEqual([...(whole?.ids ?? [])]);
        expect(found.ids.length - found.answer).toBe(whole?.supervisedTokens);
        const before = `${request}\nAnswer:`;
        const span = [before.length, before.length + content.length + 1] as const;
        const plainWhole = tokenizeText({ text: `${before} ${content}`, spans: [span] }, tokenizer, Infinity);
        const plainFound = tokenizeAnswers(plain, { template: null, tokenizer })[index];
        expect([...plainFound.ids]).toEqual([...(plainWhole?.ids ?? [])]);
        expect(plainFound.ids.length - plainFound.answer).toBe(plainWhole?.supervisedTokens);
      }
    }
    model.close();
  });
});

describe('scoreAnswers', async () => {
  const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
  const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
  const tensors = initialAdapter(TINY_CONFIGURATION, lora, 7);
  const random = new Random('adapter');
  for (const { data } of tensors.values()) data.forEach((_, at) => (data[at] = 0.1 * random.normal()));
  afterAll(() => trainer.close());

  /** The same by the loss of each answer as an example of its own. */
  async function oneByOne(questions: readonly { prompt: string; answers: readonly string[] }[]) {
    const scores: { logProbability: number; tokens: number }[][] = [];
    for (const { prompt, answers } of questions) {
      const own = [];
      for (const content of answers) {
        const { examples } = await trainer.evaluate({
          examples: [
            {
              kind: 'conversation',
              messages: [
                { role: 'user', content: prompt },
                { role: 'assistant', content },
              ],
            },
          ],
          template: 'chat',
          maxLength: 500,
          batchSize: 1,
        });
        own.push({ logProbability: -examples[0].loss, tokens: examples[0].tokens });
      }
      scores.push(own);
    }
    return scores;
  }

  const beginning = 'Solve the problem as in these examples, which everybody reads alike. '.repeat(3);
  const arbitraryQuestions = fc.array(
    fc.record({
      shared: fc.boolean(),
      prompt: fc.stringMatching(/^[a-d ]{0,40}[a-d]$/),
      answers: fc.array(fc.stringMatching(/^[a-c]{1,9}$/), { minLength: 1, maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 9 },
  );

  it('gives what each answer gets by itself, however prompts begin, with an adapter and without', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryQuestions, fc.boolean(), async (drawn, adapted) => {
        trainer.setAdapter(adapted ? { configuration: lora, tensors } : null);
        const questions = drawn.map(({ shared, prompt, answers }) => ({
          prompt: (shared ? beginning : '') + prompt,
          answers,
        }));
        const expected = await oneByOne(questions);
        const found = await trainer.scoreAnswers({
          questions: questions.map(({ prompt, answers }) => ({
            prompt: [{ role: 'user', content: prompt }],
            answers,
          })),
          template: 'chat',
        });
        expect(found.tooLong).toEqual([]);
        expect(found.questions.map(({ index }) => index)).toEqual([...questions.keys()]);
        for (const [index, { answers }] of found.questions.entries()) {
          expect(answers.map(({ tokens }) => tokens)).toEqual(expected[index].map(({ tokens }) => tokens));
          for (const [answer, { logProbability }] of answers.entries()) {
            expect(Math.abs(logProbability - expected[index][answer].logProbability)).toBeLessThan(1e-4);
          }
        }
      }),
      { numRuns: 12 },
    );
  });

  it('computes what prompts have in common once', async () => {
    trainer.setAdapter(null);
    const questions = Array.from({ length: 20 }, (_, index) => ({
      prompt: [{ role: 'user' as const, content: `${beginning} Number ${index}?` }],
      answers: ['yes', 'no', 'maybe'],
    }));
    const { places } = await trainer.scoreAnswers({ questions, template: 'chat' });
    const alone = await trainer.scoreAnswers({ questions: questions.slice(0, 1), template: 'chat' });
    expect(alone.places).toBeGreaterThan(200);
    expect(places).toBeLessThan(alone.places + 20 * 60);
  });

  it('leaves out and names what is too long', async () => {
    const questions = ['short', 'long '.repeat(40), 'brief'].map((prompt) => ({
      prompt,
      answers: [' a', ' b'],
    }));
    const found = await trainer.scoreAnswers({ questions, template: 'none', maxLength: 40 });
    expect(found.tooLong).toEqual([1]);
    expect(found.questions.map(({ index }) => index)).toEqual([0, 2]);
  });
});

describe('answerPrompts', () => {
  it('gives the answers of prompts read from their start', async () => {
    const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
    const beginning = 'Solved examples that every prompt begins with. '.repeat(8);
    const prompts = [
      `${beginning}One`,
      `${beginning}Two`,
      'Another',
      `${beginning}Two and more`,
      `${beginning}`,
    ];
    const request = { template: 'none', maxTokens: 12, stop: ['z'] } as const;
    const together = await trainer.answerPrompts({ ...request, prompts });
    for (const [index, prompt] of prompts.entries()) {
      const alone = await trainer.answerPrompts({ ...request, prompts: [prompt] });
      expect({ ...alone.answers[0], index }).toEqual(together.answers[index]);
    }
    const { answers, tooLong } = await trainer.answerPrompts({ ...request, prompts, maxLength: 20 });
    expect(answers.map(({ index }) => index)).toEqual([2]);
    expect(tooLong).toEqual([0, 1, 3, 4]);
    await trainer.close();
  });
});
