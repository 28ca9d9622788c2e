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

  it('does not order the batches by length', () => {
    const lengths = sampleRound({ examples: mixed, batchSize: 4, steps: 15, seedParts: [1] }).map(
      (batch) => batch[0].ids.length,
    );
    expect(lengths).not.toEqual([...lengths].sort((a, b) => a - b));
  });

  it('keeps an example from meeting itself in a batch while a set is large enough', () => {
    const batches = sampleRound({ examples: mixed, batchSize: 4, steps: 45, seedParts: [3] });
    for (const batch of batches) expect(new Set(batch).size).toBe(4);
  });
});
