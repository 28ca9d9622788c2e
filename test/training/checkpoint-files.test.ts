import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Files from 'node:fs/promises';
import { afterEach, expect, it, vi } from 'vitest';
import {
  listCheckpoints,
  pruneCheckpoints,
  readCheckpoint,
  writeCheckpoint,
} from '../../core/training/checkpoint-files.ts';
import type { StepReport } from '../../core/training/requests.ts';

/** The machine, which stops dead before an operation on files: that one and all after it are never done. */
const machine = vi.hoisted(() => ({ left: Infinity, done: 0 }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof Files>();
  const counted = <F extends (...given: never[]) => Promise<unknown>>(operation: F): F =>
    (async (...given: never[]) => {
      if (machine.left <= 0) throw new Error('the machine has stopped');
      machine.left--;
      machine.done++;
      return operation(...given);
    }) as unknown as F;
  const open = counted(async (...given: Parameters<typeof real.open>) => {
    const handle = await real.open(...given);
    for (const name of ['writeFile', 'sync'] as const) {
      const original = handle[name].bind(handle) as (...given: never[]) => Promise<unknown>;
      Object.defineProperty(handle, name, {
        value: async (...data: never[]) => {
          // A stop in the middle of a write leaves half of it.
          if (name === 'writeFile' && machine.left === 1) {
            machine.left = 0;
            const bytes = Buffer.from(data[0]);
            await real.writeFile(given[0], bytes.subarray(0, bytes.length >> 1));
            throw new Error('the machine has stopped');
          }
          return counted(original)(...data);
        },
      });
    }
    return handle;
  });
  return {
    ...real,
    open,
    mkdir: counted(real.mkdir),
    rename: counted(real.rename),
    rm: counted(real.rm),
    readdir: counted(real.readdir as (...given: never[]) => Promise<unknown>),
  };
});

const scratch: string[] = [];
afterEach(() => {
  machine.left = Infinity;
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-checkpoint-files-'));
  scratch.push(folder);
  return folder;
}

const report = (step: number): StepReport => ({
  step,
  steps: 9,
  loss: 1 / step,
  gradientNorm: 1,
  tokens: 5,
  supervisedTokens: 3,
  places: 5,
  padding: 0,
  seconds: 0.1,
});

function checkpoint(step: number) {
  return {
    fingerprint: { model: 'tiny' },
    reports: Array.from({ length: step }, (_, index) => report(index + 1)),
    state: {
      step,
      moments: { first: [Float32Array.of(step, 0.1)], second: [Float32Array.of(-step, 1e-30)] },
    },
  };
}

/** Writes the checkpoint of a step as a training does, and keeps two. */
async function save(folder: string, step: number): Promise<void> {
  await writeCheckpoint(folder, checkpoint(step), (place) => {
    writeFileSync(join(place, 'parameters'), `of step ${step}`);
    return Promise.resolve();
  });
  await pruneCheckpoints(folder, { keep: 2 });
}

it('leaves whole checkpoints, the newest or the one before, wherever the machine stops', async () => {
  const count = async (work: () => Promise<void>) => {
    const before = machine.done;
    await work();
    return machine.done - before;
  };
  const measured = newFolder();
  for (const step of [1, 2]) await save(measured, step);
  const operations = await count(() => save(measured, 3));
  expect(operations).toBeGreaterThan(12);
  const newest: number[] = [];
  for (let left = 0; left <= operations; left++) {
    const folder = newFolder();
    for (const step of [1, 2]) await save(folder, step);
    machine.left = left;
    await save(folder, 3).catch(() => undefined);
    machine.left = Infinity;
    const places = await listCheckpoints(folder);
    for (const place of places) expect(await readCheckpoint(place)).toEqual(checkpoint(place.step));
    expect(places.length).toBeGreaterThanOrEqual(2);
    newest.push(places[0].step);
    // The next training writes and tidies as ever.
    await save(folder, 4);
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([4, newest[left]]);
    expect(readdirSync(folder)).toHaveLength(2);
  }
  expect(newest).toEqual(newest.toSorted());
  expect(newest[0]).toBe(2);
  expect(newest.at(-1)).toBe(3);
});

it('replaces one of the same step', async () => {
  const folder = newFolder();
  await save(folder, 3);
  await save(folder, 3);
  expect(readdirSync(folder)).toEqual(['step-00000003']);
});

it('has none where there is no folder, and passes over what is not its own', async () => {
  const folder = newFolder();
  expect(await listCheckpoints(join(folder, 'nowhere'))).toEqual([]);
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  await save(folder, 1);
  await pruneCheckpoints(folder, { keep: 0 });
  expect(readdirSync(folder)).toEqual(['notes.txt']);
});

it('removes what lies after a step', async () => {
  const folder = newFolder();
  for (const step of [1, 2]) await save(folder, step);
  await pruneCheckpoints(folder, { keep: 2, after: 1 });
  expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([1]);
});
