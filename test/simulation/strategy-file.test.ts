import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import { STRATEGIES } from '../../core/federation/strategies/table.ts';
import { runFederated } from '../../core/simulation/federated.ts';
import { loadStrategy } from '../../core/simulation/strategy-file.ts';
import { adapterOf, makeTrainer } from '../helpers/site.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'tributary-strategy-'))));
afterEach(() => rmSync(root, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(root, name), text);
  return join(root, name);
}

const AVERAGE = `{
  parts: { weights: { weighting: 'examples', of: 'values' } },
  moments: {},
  update({ weights, parts: { weights: { sum, totalWeight } } }) {
    for (let i = 0; i < weights.length; i++) weights[i] = sum[i] / totalWeight;
  },
}`;

describe('a strategy of one’s own', () => {
  it.each([
    ['mine.js', `export default { name: 'mine', client: 'plain', create: () => (${AVERAGE}) };`],
    [
      'mine.ts',
      `interface Own { readonly name: string }\nconst own: Own & Record<string, unknown> =\n` +
        `  { name: 'mine', client: 'plain', create: () => (${AVERAGE}) };\nexport default own;`,
    ],
  ])('in %s gives what the same strategy of the table gives', async (name, text) => {
    const strategy = await loadStrategy(file(name, text));
    expect(strategy).toMatchObject({ name: 'mine', client: 'plain', planned: { name: 'fedavg' } });
    expect(readdirSync(root)).toEqual([name]);
    const plan = pinPlan(readPlan('{ "name": "own", "model": "tiny", "federation": { "rounds": 2 } }'), {
      id: 'tiny',
      sha256: 'ab'.repeat(32),
    });
    const example = { kind: 'conversation' as const, messages: [] };
    const run = async (own?: ReturnType<typeof strategy.create>) =>
      runFederated({
        plan,
        sites: ['north', 'south'].map((site, index) => ({
          name: site,
          examples: Array.from({ length: 3 + index }, () => example),
        })),
        trainer: makeTrainer(),
        blobs: await openBlobStore(join(root, 'blobs')),
        start: adapterOf([1, 2, 3]),
        strategy: own,
        signal: new AbortController().signal,
      });
    const { adapter } = await run(strategy.create());
    expect(adapter).toEqual((await run()).adapter);
    expect(adapter).not.toEqual((await run(STRATEGIES.fedadam.create({ name: 'fedadam' }))).adapter);
  });

  it('says what sites do', async () => {
    const proximal = `export default { name: 'near', client: 'proximal', mu: 0.5, create: () => (${AVERAGE}) };`;
    expect((await loadStrategy(file('near.js', proximal))).planned).toEqual({ name: 'fedprox', mu: 0.5 });
  });

  it.each([
    ['export const strategy = 1;', /exports no strategy as its default/],
    [
      `export default { name: 'fedavg', client: 'plain', create: () => (${AVERAGE}) };`,
      /fedavg, which is taken/,
    ],
    [`export default { name: 'mine', client: 'clever', create: () => ({}) };`, /client/],
    [`export default { name: 'mine', client: 'plain', create: () => ({}) };`, /makes no strategy: parts/],
    [
      `export default { name: 'mine', client: 'control-variates', create: () => (${AVERAGE}) };`,
      /sums weights; with the client control-variates it has to sum control, weights/,
    ],
    ['export default {', /cannot be loaded/],
  ])('is refused where it is none: %s', async (text, message) => {
    await expect(loadStrategy(file(`own-${text.length}.mjs`, text))).rejects.toMatchObject({
      code: 'simulation.bad-strategy',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is asked for by a path that is there', async () => {
    await expect(loadStrategy(join(root, 'none.ts'))).rejects.toMatchObject({ code: 'file.not-found' });
  });
});
