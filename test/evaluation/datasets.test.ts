import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { findTasks } from '../../core/evaluation/tasks/catalogue.ts';
import { evaluateTask } from '../../core/evaluation/tasks/evaluate.ts';
import type { Examinee } from '../../core/evaluation/tasks/outcomes.ts';
import { readTaskRows } from '../../core/evaluation/tasks/rows.ts';
import type { AnswerQuestion, ScoreRequest } from '../../core/training/requests.ts';

const data = join(import.meta.dirname, '../../../shared/data');

/** Scores nothing, and remembers what was asked. */
function listener(): { asked: AnswerQuestion[]; examinee: Examinee } {
  const asked: AnswerQuestion[] = [];
  const score = { logProbability: -1, tokens: 1, first: -1, firstToken: 0 };
  const examinee: Examinee = {
    scoreAnswers: ({ questions }: ScoreRequest) => {
      asked.push(...questions);
      const scored = questions.map(({ answers }, index) => ({ index, answers: answers.map(() => score) }));
      return Promise.resolve({ questions: scored, tooLong: [], places: 0 });
    },
    answerPrompts: ({ prompts }) => {
      asked.push(...prompts.map((prompt) => ({ prompt, answers: [] })));
      const answers = prompts.map((_, index) => ({
        index,
        text: '#### 1',
        tokens: 1,
        finish: 'stop' as const,
      }));
      return Promise.resolve({ answers, tooLong: [] });
    },
    evaluatePreferences: ({ examples }) => {
      asked.push(
        ...examples.map(({ prompt, chosen, rejected }) => ({ prompt, answers: [chosen, rejected] })),
      );
      const scores = { chosen: -1, rejected: -2 };
      const results = examples.map((_, index) => ({
        index,
        margin: 0,
        policy: scores,
        reference: scores,
        chosenTokens: 1,
      }));
      return Promise.resolve({ loss: 0, accuracy: 0, margin: 0, skipped: 0, examples: results });
    },
  };
  return { asked, examinee };
}

// The published sets are not part of the project.
describe.skipIf(!existsSync(data))('the published sets', () => {
  it.each([
    { name: 'pubmedqa', rows: 500, answers: 3 },
    { name: 'banking77', rows: 3079, answers: 77 },
    { name: 'mmlu', rows: 1731, answers: 4 },
    { name: 'medqa', rows: 1273 - 3, answers: 4 },
    { name: 'medmcqa', rows: 4183 - 5, answers: 4 },
    { name: 'gsm8k', rows: 1319, answers: 0 },
    { name: 'advbench', rows: 520, answers: 0 },
    { name: 'hh-rlhf', rows: 2299 + 2333, answers: 2 },
  ])('$name: every row is asked', async ({ name, rows, answers }) => {
    const [task] = (await findTasks(name)).tasks;
    const { asked, examinee } = listener();
    const all = await readTaskRows(task, { data });
    // The intervals over all rows take long, and are not what is looked at.
    const { report } = await evaluateTask(task, { ...all, rows: all.rows.slice(0, 50) }, examinee);
    expect(all.broken).toBe(0);
    expect(all.rows).toHaveLength(rows);
    expect(report.leftOut).toEqual({});
    expect(asked).toHaveLength(50);
    for (const question of asked) expect(question.answers).toHaveLength(answers);
  });

  it('show five solved examples of the subject before a question of MMLU', async () => {
    const [task] = (await findTasks('mmlu')).tasks;
    const { asked, examinee } = listener();
    await evaluateTask(task, await readTaskRows(task, { data, limit: 40 }), examinee);
    for (const { prompt } of asked) {
      const text = typeof prompt === 'string' ? prompt : '';
      expect(text).toMatch(
        /^The following are multiple choice questions \(with answers\) about [a-z ]+\.\n\n/,
      );
      expect(text.match(/^Answer: [ABCD]$/gm)).toHaveLength(5);
      expect(text.endsWith('\nAnswer:')).toBe(true);
    }
  });
});
