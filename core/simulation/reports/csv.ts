/** @file The results of a sweep as CSV (RFC 4180): one file of final scores, one of rounds. */

import { scoresOf } from '../comparison.ts';
import type { Sweep } from '../sweep.ts';

type Cell = string | number | boolean | undefined;

/** One line for every combination: what the model reaches on the held-out rows. */
export function scoresCsv({ combinations }: Sweep): string {
  const head = [
    'seed',
    'model',
    'loss',
    'loss_low',
    'loss_high',
    'perplexity',
    'accuracy',
    'accuracy_low',
    'accuracy_high',
    'seconds',
  ];
  const rows = combinations.map(({ seed, model, result }): Cell[] => {
    const { loss, perplexity, accuracy, intervals } = scoresOf({ [model]: [result.members] })[model];
    const [accuracyLow, accuracyHigh] = accuracy === undefined ? [] : intervals.accuracy;
    return [
      seed,
      model,
      loss,
      ...intervals.loss,
      perplexity,
      accuracy,
      accuracyLow,
      accuracyHigh,
      result.seconds,
    ];
  });
  return csv([head, ...rows]);
}

/** One line for every round of every federated combination; rounds count from 1. */
export function roundsCsv({ combinations }: Sweep): string {
  const head = ['seed', 'model', 'round', 'loss', 'accuracy', 'margin', 'bytes_up', 'bytes_down', 'seconds'];
  const rows = combinations.flatMap(({ seed, model, result }) =>
    result.rounds.map(({ round, loss, accuracy, margin, bytesUp, bytesDown, seconds }): Cell[] => [
      seed,
      model,
      round + 1,
      loss,
      accuracy,
      margin,
      bytesUp,
      bytesDown,
      seconds,
    ]),
  );
  return csv([head, ...rows]);
}

function csv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

function field(cell: Cell): string {
  const text = cell === undefined ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
