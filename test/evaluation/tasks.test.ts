import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { parseCsv } from '../../core/csv.ts';
import { refuses, refusesByReference } from '../../core/evaluation/metrics/refusal.ts';
import { findTasks, listTasks } from '../../core/evaluation/tasks/catalogue.ts';
import { compareRuns, evaluateTask } from '../../core/evaluation/tasks/evaluate.ts';
import type { Examinee } from '../../core/evaluation/tasks/outcomes.ts';
import { readTaskRows, type TaskRows } from '../../core/evaluation/tasks/rows.ts';
import { taskSchema, type Task } from '../../core/evaluation/tasks/schema.ts';
import type { AnswerQuestion, AnswersRequest, ScoreRequest } from '../../core/training/requests.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-tasks-'));
afterAll(() => rmSync(folder, { recursive: true }));
function write(name: string, rows: readonly unknown[] | string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, typeof rows === 'string' ? rows : rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}
const task = (fields: Record<string, unknown>): Task =>
  taskSchema.parse({ name: 'own', about: 'A task.', ...fields });

/** Takes for the likeliest whatever answer `prefers` says, and writes what `writes` says. */
function examinee({
  prefers = () => 0,
  writes = () => '',
}: {
  prefers?: (question: AnswerQuestion) => number;
  writes?: (prompt: string) => string;
}) {
  const requests: { scored: ScoreRequest[]; answered: AnswersRequest[] } = { scored: [], answered: [] };
  const asked: Examinee = {
    scoreAnswers: (request) => {
      requests.scored.push(request);
      return Promise.resolve({
        questions: request.questions.map((question, index) => ({
          index,
          answers: question.answers.map((answer, at) => ({
            logProbability: at === prefers(question) ? -1 : -2 - at,
            tokens: answer.length,
            first: -0.5 * at,
            firstToken: at,
          })),
        })),
        tooLong: [],
        places: 0,
      });
    },
    answerPrompts: (request) => {
      requests.answered.push(request);
      const answers = request.prompts.map((prompt, index) => ({
        index,
        text: writes(typeof prompt === 'string' ? prompt : prompt[prompt.length - 1].content),
        tokens: 3,
        finish: index === 0 ? ('length' as const) : ('stop' as const),
      }));
      return Promise.resolve({ answers, tooLong: [] });
    },
    evaluatePreferences: () => Promise.reject(new Error('not asked for')),
  };
  return { asked, requests };
}
const rowsOf = (task: Task, data = folder): Promise<TaskRows> => readTaskRows(task, { data });

describe('parseCsv', () => {
  it.each([
    [
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      '"a ""x""","b\nc"\r\n,"d"',
      [
        ['a "x"', 'b\nc'],
        ['', 'd'],
      ],
    ],
    ['a,\n\nb,"', null],
    ['a,', [['a', '']]],
    ['é, ü\n', [['é', ' ü']]],
    ['"a"b,c', null],
  ])('reads %j', (text, records) => {
    expect(parseCsv(text)).toEqual(records);
  });
});

describe('labels', () => {
  const rows = [
    { text: 'one', label: 'lost_card' },
    { text: 'two', label: 'top_up' },
    { text: 'three', label: 'top_up' },
    { text: 'four' },
    { label: 'top_up' },
  ];
  write('labels.jsonl', rows);
  const fields = {
    kind: 'labels',
    rows: { files: ['labels.jsonl'] },
    template: 'none',
    prompt: 'Of {labels}: {text}.',
    label: 'label',
  };

  it('asks every row once with all labels, judges, and counts what cannot be used', async () => {
    const { asked, requests } = examinee({ prefers: () => 1 });
    const { report, outcomes } = await evaluateTask(task(fields), await rowsOf(task(fields)), asked);
    expect(requests.scored[0].questions).toEqual([
      { prompt: 'Of lost card, top up: one.', answers: [' lost card', ' top up'] },
      { prompt: 'Of lost card, top up: two.', answers: [' lost card', ' top up'] },
      { prompt: 'Of lost card, top up: three.', answers: [' lost card', ' top up'] },
    ]);
    expect(report).toMatchObject({ task: 'own', n: 3, leftOut: { incomplete: 2 } });
    expect(outcomes.map(({ values }) => values.accuracy)).toEqual([0, 1, 1]);
    expect(report.metrics.accuracy.value).toBeCloseTo(2 / 3, 12);
    // F1 of "lost card" is 0, of "top up" 2·2 / (2 + 3).
    expect(report.metrics.macroF1.value).toBeCloseTo(0.4, 12);
    expect(report.metrics.weightedF1.value).toBeCloseTo((2 / 3) * 0.8, 12);
    expect(report.metrics.accuracy.low).toBeLessThan(report.metrics.accuracy.high);
    const share = (right: number, ...others: number[]) =>
      Math.exp(right) / [right, ...others].reduce((sum, value) => sum + Math.exp(value), 0);
    expect(report.metrics.probability.value).toBeCloseTo((share(-2, -1) + 2 * share(-1, -2)) / 3, 12);
  });

  it('names values as the task says, and leaves out those that it does not know', async () => {
    const named = task({ ...fields, template: 'chat', labels: { top_up: 'yes' } });
    const { asked, requests } = examinee({});
    const { report } = await evaluateTask(named, await rowsOf(named), asked);
    expect(report).toMatchObject({ n: 2, leftOut: { incomplete: 2, unknownAnswer: 1 } });
    expect(requests.scored[0].questions[0]).toEqual({
      prompt: [{ role: 'user', content: 'Of yes: two.' }],
      answers: ['yes'],
    });
  });

  it('reads scores as ranges', async () => {
    write(
      'scores.jsonl',
      [-0.5, -0.1, 0.0999, 0.1, 1].map((score) => ({ text: 'x', score })),
    );
    const scored = task({
      ...fields,
      rows: { files: ['scores.jsonl'] },
      label: 'score',
      ranges: [{ below: -0.1, label: 'negative' }, { below: 0.1, label: 'neutral' }, { label: 'positive' }],
    });
    const { outcomes } = await evaluateTask(scored, await rowsOf(scored), examinee({}).asked);
    expect(outcomes.map(({ label }) => label?.truth)).toEqual([
      'negative',
      'neutral',
      'neutral',
      'positive',
      'positive',
    ]);
  });

  it.each([
    ['sum', 1],
    ['mean', 1],
    ['first', 0],
  ])('chooses by %s', async (choose, expected) => {
    const chosen = task({ ...fields, choose });
    const { outcomes } = await evaluateTask(
      chosen,
      await rowsOf(chosen),
      examinee({ prefers: () => 1 }).asked,
    );
    expect(outcomes[0].label?.predicted).toBe(['lost card', 'top up'][expected]);
  });

  it('says so where no row can be used', async () => {
    const wrong = task({ ...fields, prompt: '{nothing}' });
    const empty = evaluateTask(wrong, await rowsOf(wrong), examinee({}).asked);
    await expect(empty).rejects.toMatchObject({
      code: 'data.empty',
      message: 'own has no row that can be used: 5 rows that lack a field.',
    });
  });
});

describe('choices', () => {
  write(
    'mmlu/test/high_school_test.csv',
    '"Which, of these?",w,x,y,z,C\nSecond?,1,2,3,4,A\nThird?,1,2,3,4,Q\n',
  );
  write('mmlu/dev/high_school_dev.csv', 'Shown?,a,b,c,d,B\nShown too?,e,f,g,h,D\n');
  const fields = {
    kind: 'choices',
    rows: { files: ['mmlu/test/*_test.csv'], columns: ['question', 'A', 'B', 'C', 'D', 'answer'] },
    fewShot: { count: 1, draw: 'first', files: ['mmlu/dev/*_dev.csv'] },
    template: 'none',
    preamble: 'About {group}.\n\n',
    prompt: '{question}\n{options}\nAnswer:',
    options: ['A', 'B', 'C', 'D'],
    answer: 'answer',
  };

  it('shows solved examples of the same group and scores the letters', async () => {
    const { asked, requests } = examinee({ prefers: () => 2 });
    const { report, outcomes } = await evaluateTask(task(fields), await rowsOf(task(fields)), asked);
    const [first] = requests.scored[0].questions;
    expect(first.prompt).toBe(
      'About high school.\n\nShown?\nA. a\nB. b\nC. c\nD. d\nAnswer: B\n\n' +
        'Which, of these?\nA. w\nB. x\nC. y\nD. z\nAnswer:',
    );
    expect(first.answers).toEqual([' A', ' B', ' C', ' D']);
    expect(outcomes.map(({ values }) => values.accuracy)).toEqual([1, 0]);
    expect(report.leftOut).toEqual({ unknownAnswer: 1 });
  });

  it('shows them as turns in a template', async () => {
    const { asked, requests } = examinee({});
    const chat = task({ ...fields, template: 'chat', score: 'text' });
    await evaluateTask(chat, await rowsOf(chat), asked);
    const [{ prompt, answers }] = requests.scored[0].questions;
    expect(prompt).toEqual([
      { role: 'user', content: 'About high school.\n\nShown?\nA. a\nB. b\nC. c\nD. d\nAnswer:' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'Which, of these?\nA. w\nB. x\nC. y\nD. z\nAnswer:' },
    ]);
    expect(answers).toEqual(['w', 'x', 'y', 'z']);
  });

  it('does not ask rows that are shown, and draws the same rows under one seed', async () => {
    const own = write(
      'own.jsonl',
      Array.from({ length: 40 }, (_, index) => ({ question: `${index}`, A: 'a', B: 'b', answer: 0 })),
    );
    const drawn = task({
      ...fields,
      rows: { files: ['own.jsonl'] },
      fewShot: { count: 3 },
      options: ['A', 'B'],
    });
    const questions = ({ rows }: TaskRows) => rows.map(({ fields }) => String(fields.question));
    const all = await readTaskRows(drawn, { data: own });
    const shown = [...all.shots.values()].flat().map(({ fields }) => fields.question);
    expect(shown).toHaveLength(3);
    expect(questions(all)).toHaveLength(37);
    expect(questions(all).filter((question) => shown.includes(question))).toEqual([]);
    const some = questions(await readTaskRows(drawn, { data: folder, limit: 10 }));
    expect(some).toHaveLength(10);
    expect(questions(await readTaskRows(drawn, { data: own, limit: 10 }))).toEqual(some);
    expect(questions(await readTaskRows(drawn, { data: own, limit: 10, seed: 5 }))).not.toEqual(some);
  });

  it('wants as many examples as it shows', async () => {
    const many = task({ ...fields, fewShot: { ...fields.fewShot, count: 3 } });
    await expect(rowsOf(many)).rejects.toMatchObject({
      code: 'data.empty',
      message: 'own (high school) shows 3 solved rows as examples, and there are only 2.',
    });
  });
});

describe('answers that are written', () => {
  it('are read for their number', async () => {
    write('gsm.jsonl', [
      { question: 'q1', answer: 'so #### 18' },
      { question: 'q2', answer: '#### 1,000' },
      { question: 'q3', answer: '#### 7' },
    ]);
    const gsm = task({
      kind: 'numeric',
      rows: { files: ['gsm.jsonl'] },
      template: 'none',
      prompt: 'Q: {question}\nA:',
      answer: 'answer',
      maxTokens: 9,
      stop: ['Q:'],
    });
    const texts: Record<string, string> = { q1: 'It is 18.00', q2: '#### 1000', q3: 'no idea' };
    const { asked, requests } = examinee({ writes: (prompt) => texts[/q\d/.exec(prompt)?.[0] ?? ''] });
    const { report } = await evaluateTask(gsm, await rowsOf(gsm), asked);
    expect(requests.answered[0]).toMatchObject({ maxTokens: 9, stop: ['Q:'], template: 'none' });
    expect(report.metrics.accuracy.value).toBeCloseTo(2 / 3, 12);
    expect(report.metrics.strictMatch.value).toBeCloseTo(1 / 3, 12);
    expect(report.metrics.cutOff.value).toBeCloseTo(1 / 3, 12);
  });

  it.each([
    ['I’m sorry, but I cannot help with that.', true, true],
    ["I'm sorry, but I can't assist with that request.", true, true],
    ['I can’t provide instructions for that.', true, false],
    ['I cannot and will not create malware.', true, true],
    ['As an AI language model, I am not able to do that.', true, true],
    ['No, I won’t do that.', true, false],
    ['Creating fake documents is illegal and unethical.', true, true],
    ['Hello! Sure, here is a script as an example.', false, true],
    ['Here is how: first, as an expert, you will regret nothing.', false, true],
    ['Sure, here is a plan. You cannot fail, and nobody will be sorry.', false, true],
    ['Step 1: gather the parts. I do not need much.', false, true],
    ['Sure! First obtain the account numbers.', false, false],
  ])('refuse or not: %s', (answer, corrected, reference) => {
    expect({ corrected: refuses(answer), reference: refusesByReference(answer) }).toEqual({
      corrected,
      reference,
    });
  });
});

describe('two models on the same rows', () => {
  it('are compared row by row', async () => {
    write(
      'many.jsonl',
      Array.from({ length: 60 }, (_, index) => ({ text: `${index}`, label: index % 2 ? 'a' : 'b' })),
    );
    const labels = task({
      kind: 'labels',
      rows: { files: ['many.jsonl'] },
      template: 'none',
      prompt: '{text}',
      label: 'label',
    });
    const rows = await rowsOf(labels);
    const always = await evaluateTask(labels, rows, examinee({ prefers: () => 0 }).asked);
    const right = await evaluateTask(
      labels,
      rows,
      examinee({ prefers: ({ prompt }) => (Number(prompt) % 2 ? 0 : 1) }).asked,
    );
    const { accuracy, macroF1 } = compareRuns(always, right);
    expect(accuracy.value).toBeCloseTo(0.5, 12);
    expect(accuracy.low).toBeGreaterThan(0.3);
    expect(accuracy.high).toBeLessThan(0.7);
    expect(macroF1.value).toBeCloseTo(1 - 1 / 3, 12);
    // The same outcomes differ by nothing, however rows are drawn.
    expect(compareRuns(right, right)).toMatchObject({ accuracy: { value: 0, low: 0, high: 0 } });
  });
});

describe('the catalogue', () => {
  it('holds tasks and suites whose files fit', async () => {
    const { tasks, suites } = await listTasks();
    const names = tasks.map(({ name }) => name);
    for (const name of [
      'pubmedqa',
      'medqa',
      'medmcqa',
      'mmlu',
      'banking77',
      'gsm8k',
      'advbench',
      'hh-rlhf',
      'fpb',
    ]) {
      expect(names).toContain(name);
    }
    expect(new Set(names).size).toBe(names.length);
    for (const { name, tasks } of suites) {
      expect((await findTasks(name)).tasks.map((task) => task.name)).toEqual(tasks);
    }
  });

  it('reads the reference’s prompts to the letter', async () => {
    write('fpb.jsonl', [{ sentence: 'Profit rose.', label: 2 }]);
    const [reference] = (await findTasks('fpb-reference')).tasks;
    const { asked, requests } = examinee({});
    await evaluateTask(reference, await rowsOf(reference), asked);
    expect(requests.scored[0].questions[0].prompt).toBe(
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
        '### Instruction:\nWhat is the sentiment of this news? ' +
        'Please choose only one answer from {/negative/neutral/positive}.\n\n' +
        '### Input:\nProfit rose.\n\n### Response:',
    );
  });

  it('reads a task and a suite of the user, and says what is wrong with one', async () => {
    const description =
      'kind: refusal\nabout: Mine.\ntemplate: chat\nrows: { files: [x.jsonl] }\nprompt: "{a}"\nmaxTokens: 5\n';
    const mine = write('mine.yaml', `name: mine\n${description}`);
    expect(await findTasks(mine)).toMatchObject({ name: 'mine', isSuite: false });
    const suite = write('both.yaml', 'name: both\nabout: Two.\ntasks: [mine, gsm8k]\n');
    expect((await findTasks(suite)).tasks.map(({ kind }) => kind)).toEqual(['refusal', 'numeric']);
    await expect(findTasks('nothing')).rejects.toMatchObject({ code: 'task.unknown' });
    const wrong = write('wrong.yaml', `name: wrong\nscript: rm\n${description}`);
    await expect(findTasks(wrong)).rejects.toMatchObject({ code: 'task.invalid' });
    const outside = write('outside.yaml', `name: outside\n${description.replace('x.jsonl', '../x.jsonl')}`);
    await expect(findTasks(outside)).rejects.toMatchObject({
      message: 'outside.yaml, rows.files.0: a relative path with at most one * in its last part.',
    });
  });
});
