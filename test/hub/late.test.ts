/** @file A late update is the change that its site has made, on top of the model of the round that it counts in. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import { encodeTensors, readTensors } from '../../core/federation/codec.ts';
import { computeAggregate, writeInitialState } from '../../core/hub/closing.ts';
import type { Contribution } from '../../core/hub/records.ts';
import { removeFolder } from '../helpers/folders.ts';
import { adapterOf, makePlan } from '../helpers/site.ts';

const root = mkdtempSync(join(tmpdir(), 'tributary-late-'));
afterAll(() => removeFolder(root));

it.each([
  // (10 · 5 + 0.5 · 20 · (3 + (4 − 1))) / (10 + 0.5 · 20)
  ['fedavg', {}, 5.5],
  // 3 + m, m the weighted mean of 5 − 3 and 4 − 1
  ['fedavgm', {}, 5.5],
])('%s weighs it with the discount', async (name, parameters, expected) => {
  const blobs = await openBlobStore(join(root, name));
  const plan = makePlan({ federation: { strategy: { name, ...parameters }, late: { discount: 0.5 } } });
  const put = async (value: number) => (await blobs.put(encodeTensors(adapterOf([value])))).hash;
  const sent = (site: string, hash: string, examples: number): Contribution => ({
    ...{ site, state: 'committed', hash, examples, loss: 1, metrics: {} },
    ...{ code: null, reason: null, late: null },
  });
  // Round 0 began with 1 and was closed, round 1 begins with 3.
  const earlier = await put(1);
  const start = await writeInitialState(blobs, plan, adapterOf([3]));
  const late = { ...sent('late', await put(4), 20), loss: 4, late: { round: 0, base: earlier } };
  const closed = await computeAggregate({
    ...{ blobs, plan, members: 2 },
    round: { number: 0, ...start },
    contributions: [sent('timely', await put(5), 10), late],
  });
  if ('lost' in closed) throw new Error(closed.reason);
  const [{ data }] = readTensors(blobs.path(closed.start.base.hash)).values();
  expect(data[0]).toBeCloseTo(expected, 6);
  expect(closed.loss).toBeCloseTo(2.5, 12);
});

it('asks its site anew where what it started from is gone', async () => {
  const blobs = await openBlobStore(join(root, 'gone'));
  const plan = makePlan({ federation: { late: {} } });
  const start = await writeInitialState(blobs, plan, adapterOf([3]));
  const { hash } = await blobs.put(encodeTensors(adapterOf([4])));
  const closed = await computeAggregate({
    ...{ blobs, plan, members: 1 },
    round: { number: 1, ...start },
    contributions: [
      {
        ...{
          site: 'late',
          state: 'committed',
          hash,
          examples: 9,
          loss: 1,
          metrics: {},
          code: null,
          reason: null,
        },
        late: { round: 0, base: 'ab'.repeat(32) },
      },
    ],
  });
  expect(closed).toMatchObject({ lost: { site: 'late' } });
});
