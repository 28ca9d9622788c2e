/** @file Tasks whose answer is the likeliest of several: labels and multiple choice. */

import { TributaryError } from '../../errors.ts';
import type { AnswerQuestion, AnswerScore } from '../../training/requests.ts';
import type { Examinee, Measured, Outcome, Reason } from './outcomes.ts';
import { continued, fieldOf, fill, promptMaker, textOf, type Asked } from './prompts.ts';
import type { Row, TaskRows } from './rows.ts';
import type { LikelihoodTask, TaskOf } from './schema.ts';

/** A row as a question with possible answers. */
interface Solved extends Asked {
  readonly answers: readonly string[];
  readonly truth: number;
}

/** Scores every possible answer of every row and takes the likeliest. */
export async function measureLikelihood(
  task: LikelihoodTask,
  rows: TaskRows,
  examinee: Examinee,
): Promise<Measured> {
  const solve = task.kind === 'labels' ? labelSolver(task, rows) : choiceSolver(task);
  const shown = (row: Row): Solved | null => {
    const solved = solve(row);
    return typeof solved === 'string' ? null : solved;
  };
  const prompt = promptMaker(task, rows, shown);
  const leftOut: Partial<Record<Reason, number>> = {};
  const count = (reason: Reason, by = 1) => (leftOut[reason] = (leftOut[reason] ?? 0) + by);
  const asked: { row: number; solved: Solved; question: AnswerQuestion }[] = [];
  for (const [index, row] of rows.rows.entries()) {
    const solved = solve(row);
    if (typeof solved === 'string') count(solved);
    else {
      const answers = solved.answers.map((answer) => continued(task, answer));
      asked.push({ row: index, solved, question: { prompt: prompt(solved, row), answers } });
    }
  }
  if (asked.length === 0) return { outcomes: [], leftOut };
  const { template, maxLength } = task;
  const questions = asked.map(({ question }) => question);
  const result = await examinee.scoreAnswers({ questions, template, ...(maxLength && { maxLength }) });
  if (result.tooLong.length > 0) count('tooLong', result.tooLong.length);
  const outcomes = result.questions.map(({ index, answers }): Outcome => {
    const { row, solved } = asked[index];
    const best = choose(task, answers, solved.answers);
    return {
      row,
      values: { accuracy: best === solved.truth ? 1 : 0, probability: probability(answers, solved.truth) },
      ...(task.kind === 'labels' && {
        label: { truth: solved.answers[solved.truth], predicted: solved.answers[best] },
      }),
    };
  });
  return { outcomes, leftOut };
}

/** The likeliest answer, the first of equal ones. @throws TributaryError `task.same-first-token` */
function choose(
  { name, choose }: LikelihoodTask,
  scores: readonly AnswerScore[],
  answers: readonly string[],
): number {
  if (choose === 'first') {
    const known = new Map<number, number>();
    for (const [index, { firstToken }] of scores.entries()) {
      const other = known.get(firstToken);
      if (other !== undefined) {
        throw new TributaryError(
          'task.same-first-token',
          `The answers "${answers[other]}" and "${answers[index]}" of ${name} begin with the same token of this model.`,
        );
      }
      known.set(firstToken, index);
    }
  }
  const valueOf = ({ logProbability, tokens, first }: AnswerScore): number =>
    choose === 'first' ? first : choose === 'mean' ? logProbability / tokens : logProbability;
  return scores.reduce((best, score, index) => (valueOf(score) > valueOf(scores[best]) ? index : best), 0);
}

/** Of the right answer among all possible ones, as whole texts. */
function probability(scores: readonly AnswerScore[], truth: number): number {
  const most = Math.max(...scores.map(({ logProbability }) => logProbability));
  const shares = scores.map(({ logProbability }) => Math.exp(logProbability - most));
  return shares[truth] / shares.reduce((sum, share) => sum + share, 0);
}

/** A row with one of the task's labels, or why it has none. */
function labelSolver(task: TaskOf<'labels'>, { all }: TaskRows): (row: Row) => Solved | Reason {
  const nameOf = (row: Row): string | null => {
    const value = textOf(fieldOf(row.fields, task.label));
    if (value === null) return null;
    if (task.ranges) {
      const number = Number(value);
      return task.ranges.find(({ below = Infinity }) => number < below)?.label ?? null;
    }
    if (!task.labels) return value.replaceAll('_', ' ');
    return Object.entries(task.labels).find(([written]) => written === value)?.[1] ?? null;
  };
  const declared = task.ranges?.map(({ label }) => label) ?? (task.labels && Object.values(task.labels));
  const answers = [...new Set(declared ?? all.flatMap((row) => nameOf(row) ?? []).sort())];
  const extras = { labels: answers.join(', ') };
  return (row) => {
    const prompt = fill(task.prompt, row, extras);
    if (prompt === null || textOf(fieldOf(row.fields, task.label)) === null) return 'incomplete';
    const answer = nameOf(row);
    if (answer === null) return 'unknownAnswer';
    return { group: row.group, prompt, answer, answers, truth: answers.indexOf(answer) };
  };
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** A row with its options, or why it cannot be asked. */
function choiceSolver(task: TaskOf<'choices'>): (row: Row) => Solved | Reason {
  return (row) => {
    const options = task.options.map((option) => textOf(fieldOf(row.fields, option)));
    const extras = { options: options.map((option, index) => `${LETTERS[index]}. ${option}`).join('\n') };
    const prompt = fill(task.prompt, row, extras);
    const written = textOf(fieldOf(row.fields, task.answer));
    if (prompt === null || written === null || options.includes(null)) return 'incomplete';
    const truth = /^\d+$/.test(written) ? Number(written) : LETTERS.indexOf(written.toUpperCase());
    if (written.length > 2 || truth < 0 || truth >= options.length) return 'unknownAnswer';
    const answers =
      task.score === 'letter'
        ? [...LETTERS.slice(0, options.length)]
        : options.flatMap((option) => option ?? []);
    return { group: row.group, prompt, answer: answers[truth], answers, truth };
  };
}
