import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { readCosts } from '../../core/engine/profile.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-profile-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the costs of a run', () => {
  it('count each node once, by operator and by the part of the graph that all layers have', async () => {
    const engine = new Engine(openTiny().weights, {
      precision: 'f32',
      device: 'cpu',
      threads: 1,
      cache: folder,
      profile: join(folder, 'record'),
    });
    const ids = [5, 6, 7, 8];
    await engine.loss(paddedBatch([{ ids, labels: ids }], 0), null);
    await engine.release();
    const { operators, places } = readCosts(folder);
    const perLayer = places.find(({ name }) => name === '/layers/mlp/down_proj/Gemm');
    expect(perLayer?.calls).toBe(TINY_CONFIGURATION.layers);
    const total = (costs: typeof places) => costs.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    expect(total(places)).toBeCloseTo(total(operators), 6);
    expect(operators.map(({ name }) => name)).not.toContain('Loop');
    // Seven linears a layer; the scores over the vocabulary lie in a loop, and are counted from there.
    const products = operators.find(({ name }) => name === 'Gemm');
    expect(products?.calls).toBe(7 * TINY_CONFIGURATION.layers + 1);
    expect(operators.map(({ milliseconds }) => milliseconds)).toEqual(
      operators.map(({ milliseconds }) => milliseconds).sort((a, b) => b - a),
    );
  });
});
