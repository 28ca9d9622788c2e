/** @file Training alone through the window's requests, with the model `tiny` in the real training process. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAdapter } from '../../core/model/adapter.ts';
import { openModel } from '../../core/model/open.ts';
import { useSiteWindow } from '../helpers/site-window.ts';
import { until } from '../helpers/until.ts';

const window = useSiteWindow();
const { ask, hear, ended } = window;

const few = { model: 'tiny', steps: 12, learningRate: 1e-2, maxLength: 128 } as const;

/** Connects rows as a dataset of the vault. */
async function connect(name: string, rows: readonly object[], split?: { validation: number; test: number }) {
  const path = join(window.folder(), '..', `${name}.jsonl`);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  const { guess } = await ask('data.inspect', { path });
  if (guess === null) throw new Error('nothing was guessed');
  const { task } = await ask('data.import', { path, mapping: guess.mapping, name, ...(split && { split }) });
  expect(await ended(task)).toMatchObject({ state: 'done' });
}

describe('training alone on the sample', () => {
  it('learns, tells each step, and leaves an adapter with its course', async () => {
    const series = hear('series');
    const { task, run } = await ask('alone.start', few);
    expect(run).toBe('alone-1');
    const end = await ended(task);
    expect(end).toMatchObject({
      state: 'done',
      done: 12,
      total: 12,
      result: { run, heldOut: true, measured: 60 },
    });
    const { baseLoss, trainedLoss, adapter, tokensPerSecond } = end.result as Record<string, number>;
    expect(trainedLoss).toBeLessThan(baseLoss);
    expect(tokensPerSecond).toBeGreaterThan(0);
    expect(String(adapter)).toBe(join(window.folder(), 'alone', run));

    expect(series).toHaveLength(12);
    expect(series.map((event) => event.kind === 'step' && event.step)).toEqual(
      [...Array(12).keys()].map((k) => k + 1),
    );
    const kept = await ask('runs.series', { run });
    expect(kept.steps.map(({ loss }) => loss)).toEqual(
      series.map((event) => (event.kind === 'step' ? event.loss : null)),
    );

    const tiny = await openModel('tiny');
    expect(readAdapter(String(adapter), tiny).configuration.rank).toBe(8);
    const { results } = await ask('results.list', {});
    expect(results).toMatchObject([
      {
        run,
        kind: 'local',
        model: { id: 'tiny' },
        steps: 12,
        dataset: null,
        examples: 198,
        baseLoss,
        loss: trainedLoss,
      },
    ]);
  });

  it('leaves nothing where it is cancelled, and frees the name', async () => {
    const series = hear('series');
    const { task, run } = await ask('alone.start', { ...few, steps: 100_000 });
    await until(() => expect(series.length).toBeGreaterThan(0));
    await ask('task.cancel', { task });
    expect(await ended(task)).toMatchObject({ state: 'cancelled' });
    expect(readdirSync(join(window.folder(), 'alone'))).toEqual([]);
    await expect(ask('runs.series', { run })).rejects.toMatchObject({ code: 'site.unknown-run' });
  });
});

describe('training alone on a dataset of the vault', () => {
  const rows = Array.from({ length: 40 }, (_, index) => ({
    instruction: `Name colour ${index}.`,
    response: index % 2 ? 'It is blue.' : 'It is green.',
  }));

  it('measures on the rows that the import has set apart', async () => {
    await connect('colours', rows, { validation: 0.2, test: 0 });
    const { validation, train } = (await ask('data.list', {})).datasets[0];
    const { task } = await ask('alone.start', { ...few, dataset: 'colours' });
    expect(await ended(task)).toMatchObject({ result: { heldOut: true, measured: validation } });
    const [result] = (await ask('results.list', {})).results;
    expect(result).toMatchObject({ dataset: 'colours', examples: train });
    // What it is trained on stays in the vault.
    for (const file of readdirSync(result.path)) {
      expect(readFileSync(join(result.path, file)).includes('It is blue')).toBe(false);
    }
  });

  it('learns from preference pairs by the objective for them', async () => {
    const pairs = rows.map(({ instruction }) => ({
      prompt: instruction,
      chosen: 'Please ask.',
      rejected: 'No!',
    }));
    await connect('pairs', pairs);
    const { task } = await ask('alone.start', { ...few, dataset: 'pairs' });
    const { result, state } = await ended(task);
    expect(state).toBe('done');
    const { baseLoss, trainedLoss } = result as Record<string, number>;
    expect(baseLoss).toBeCloseTo(Math.LN2, 3);
    expect(trainedLoss).toBeLessThan(baseLoss);
  });

  it('passes the policy first', async () => {
    await connect('few', rows.slice(0, 3));
    const { task } = await ask('alone.start', { ...few, dataset: 'few' });
    expect(await ended(task)).toMatchObject({ state: 'failed', error: { code: 'policy.examples' } });
    expect(existsSync(join(window.folder(), 'alone', 'alone-1'))).toBe(false);
  });
});
