/** @file Writes what a sweep found beside its combinations: CSV files, and a folder for TensorBoard. */

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files.ts';
import { scoresOf } from '../comparison.ts';
import type { Combination, Sweep } from '../sweep.ts';
import { roundsCsv, scoresCsv } from './csv.ts';
import { eventFile } from './tensorboard.ts';
import type { Scalar } from './tensorboard.ts';

/** The files that were written. */
export interface Reports {
  readonly scores: string;
  readonly rounds: string;
  /** For `tensorboard --logdir`: one run for every combination. */
  readonly tensorboard: string;
}

/** Replaces the reports of an earlier sweep in the folder. @throws TributaryError `disk.full`, `file.*` */
export async function writeReports(
  folder: string,
  sweep: Sweep,
  now: () => number = Date.now,
): Promise<Reports> {
  const reports = {
    scores: join(folder, 'scores.csv'),
    rounds: join(folder, 'rounds.csv'),
    tensorboard: join(folder, 'tensorboard'),
  };
  await writeFileAtomically(reports.scores, scoresCsv(sweep), 0o644);
  await writeFileAtomically(reports.rounds, roundsCsv(sweep), 0o644);
  await rm(reports.tensorboard, { recursive: true, force: true });
  const seconds = now() / 1000;
  for (const combination of sweep.combinations) {
    const run = join(reports.tensorboard, `${combination.model}-seed-${combination.seed}`);
    await mkdir(run, { recursive: true });
    const name = `events.out.tfevents.${Math.floor(seconds)}.tributary`;
    await writeFileAtomically(join(run, name), eventFile(scalarsOf(combination), seconds), 0o644);
  }
  return reports;
}

/** Losses of the rounds, and the scores on held-out rows after the last one. */
function scalarsOf({ model, result }: Combination): Scalar[] {
  const scores = scoresOf({ [model]: [result.members] })[model];
  const last = result.rounds.length;
  const final = {
    'heldout/loss': scores.loss,
    'heldout/perplexity': scores.perplexity,
    'heldout/accuracy': scores.accuracy,
  };
  return [
    ...result.rounds.flatMap(({ round, loss, accuracy, margin }) =>
      present({ 'train/loss': loss, 'train/accuracy': accuracy, 'train/margin': margin }, round + 1),
    ),
    ...present(final, last),
  ];
}

function present(values: Readonly<Record<string, number | undefined>>, step: number): Scalar[] {
  return Object.entries(values).flatMap(([tag, value]) =>
    value === undefined ? [] : [{ tag, step, value }],
  );
}
