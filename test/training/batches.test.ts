import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleRound } from '../../core/training/batches.ts';
import { Random } from '../../core/random.ts';

const examplesOf = (lengths: readonly number[]) =>
  lengths.map((length, index) => ({
    ids: new Int32Array(length).fill(index + 1),
    labels: new Int32Array(length).fill(-100).fill(index + 1, 1),
    supervisedTokens: length - 1,
  }));

const random = new Random('lengths');
const mixed = examplesOf(Array.from({ length: 60 }, () => 2 + random.below(200)));

describe('sampleRound', () => {
  it('uses every example equally often, give or take one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 20 }), (size, batchSize, steps) => {
        const examples = examplesOf(Array.from({ length: size }, (_, i) => 1 + (i % 7)));
        const batches = sampleRound({ examples, batchSize, steps, seedParts: [1] });
        expect(batches.map(({ length }) => length)).toEqual(Array.from({ length: steps }, () => batchSize));
        const uses = new Map(examples.map((example) => [example, 0]));
        for (const example of batches.flat()) uses.set(example, (uses.get(example) ?? 0) + 1);
        const counts = [...uses.values()];
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    ); // prettier-ignore
  });

  it('draws from large sets, and from none refuses', () => {
    const one = [{ ids: new Int32Array(1) }];
    const large = Array.from({ length: 200_000 }, () => one[0]);
    expect(sampleRound({ examples: large, batchSize: 4, steps: 50_000, seedParts: [1] })).toHaveLength(
      50_000,
    );
    expect(() => sampleRound({ examples: [], batchSize: 4, steps: 1, seedParts: [1] })).toThrow(
      'no examples',
    );
  });

  it('depends on every part of the seed and on nothing else', () => {
    const draw = (...seedParts: (string | number)[]) =>
      sampleRound({ examples: mixed, batchSize: 4, steps: 5, seedParts }).map((batch) =>
        batch.map(({ ids }) => ids[0]),
      );
    expect(draw(7, 0, 'north')).toEqual(draw(7, 0, 'north'));
    expect(draw(7, 0, 'north')).not.toEqual(draw(7, 1, 'north'));
    expect(draw(7, 0, 'north')).not.toEqual(draw(7, 0, 'south'));
    expect(draw(7, 0, 'north')).not.toEqual(draw(8, 0, 'north'));
  });

  it('draws each batch at random, whatever the lengths are', () => {
    const order = mixed.map((example) => example.ids[0]);
    const drawn = sampleRound({ examples: mixed, batchSize: 4, steps: 15, seedParts: [1] });
    const permuted = drawn.flat().map((example) => example.ids[0]);
    expect(permuted).not.toEqual(order);
    expect([...permuted].sort((a, b) => a - b)).toEqual(order);
    const spread = drawn.map((batch) => {
      const lengths = batch.map(({ ids }) => ids.length);
      return Math.max(...lengths) - Math.min(...lengths);
    });
    // Of four lengths between 2 and 201, the widest and the narrowest lie 120 apart on average.
    expect(spread.reduce((sum, one) => sum + one, 0) / spread.length).toBeGreaterThan(80);
  });

  it('holds an example twice in a batch only where two passes meet', () => {
    const batches = sampleRound({ examples: mixed.slice(0, 10), batchSize: 4, steps: 10, seedParts: [3] });
    for (const [step, batch] of batches.entries()) {
      const meet = Math.floor((4 * step) / 10) !== Math.floor((4 * step + 3) / 10);
      if (!meet) expect(new Set(batch).size).toBe(4);
    }
  });
});
