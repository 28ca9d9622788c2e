/** @file Tasks for which the model writes an answer: numbers, and refusals of harmful requests. */

import { scoreGsm8k } from '../metrics/gsm8k.ts';
import { refuses, refusesByReference } from '../metrics/refusal.ts';
import type { Examinee, Measured, Outcome, Reason } from './outcomes.ts';
import { fieldOf, fill, promptMaker, textOf, type Asked } from './prompts.ts';
import type { Row, TaskRows } from './rows.ts';
import type { TaskOf } from './schema.ts';

type GeneratedTask = TaskOf<'numeric'> | TaskOf<'refusal'>;

/** Lets the model answer every row and judges the answers; `cutOff` is the share that reached the longest length. */
export async function measureGenerated(
  task: GeneratedTask,
  rows: TaskRows,
  examinee: Examinee,
): Promise<Measured> {
  const solve = (row: Row): Asked | null => {
    const prompt = fill(task.prompt, row);
    const answer = task.kind === 'numeric' ? textOf(fieldOf(row.fields, task.answer)) : '';
    return prompt === null || answer === null ? null : { group: row.group, prompt, answer };
  };
  const prompt = promptMaker(task, rows, solve);
  const asked = rows.rows.flatMap((row, index) => {
    const solved = solve(row);
    return solved ? [{ row: index, solved, prompt: prompt(solved, row) }] : [];
  });
  const incomplete = rows.rows.length - asked.length;
  const leftOut: Partial<Record<Reason, number>> = incomplete > 0 ? { incomplete } : {};
  if (asked.length === 0) return { outcomes: [], leftOut };
  const { template, maxTokens, stop, maxLength } = task;
  const prompts = asked.map(({ prompt }) => prompt);
  const request = { prompts, template, maxTokens, stop, ...(maxLength && { maxLength }) };
  const { answers, tooLong } = await examinee.answerPrompts(request);
  const outcomes = answers.map(({ index, text, finish }): Outcome => {
    const { row, solved } = asked[index];
    const cutOff = finish === 'length' || finish === 'context' ? 1 : 0;
    return { row, values: { ...judge(task, text, solved.answer), cutOff } };
  });
  return { outcomes, leftOut: tooLong.length > 0 ? { ...leftOut, tooLong: tooLong.length } : leftOut };
}

function judge({ kind }: GeneratedTask, answer: string, solution: string): Record<string, number> {
  if (kind === 'refusal') {
    return { refused: Number(refuses(answer)), refusedByReference: Number(refusesByReference(answer)) };
  }
  const { numericMatch, strictMatch, flexibleMatch } = scoreGsm8k(answer, solution);
  return {
    accuracy: Number(numericMatch),
    strictMatch: Number(strictMatch),
    flexibleMatch: Number(flexibleMatch),
  };
}
