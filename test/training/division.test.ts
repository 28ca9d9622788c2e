import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideStep } from '../../core/training/division.ts';
import type { TokenExample } from '../../core/training/tokens.ts';

/** Texts that have nothing in common. */
function examplesOf(lengths: readonly number[]): TokenExample[] {
  return lengths.map((length, index) => textOf(Array.from({ length }, (_, at) => 1000 * (index + 1) + at)));
}

function textOf(ids: readonly number[]): TokenExample {
  const all = Int32Array.from(ids);
  return { ids: all, labels: all, supervisedTokens: ids.length - 1 };
}

const lengthsOf = (lengths: readonly number[], most?: number) =>
  divideStep(examplesOf(lengths), (example) => [example], most).map((part) =>
    part.map(({ ids }) => ids.length),
  );

describe('the division of a step', () => {
  it('holds every item once, in order, and no part beyond what is allowed', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 9 }), (drawn, most) => {
        const items = examplesOf(drawn).map((example, index) => ({ index, example }));
        const parts = divideStep(items, ({ example }) => [example], most).map((part) =>
          part.map(({ index }) => index),
        );
        expect(parts.flat().sort((a, b) => a - b)).toEqual(items.map(({ index }) => index));
        for (const part of parts) {
          expect(part.length).toBeLessThanOrEqual(most);
          expect(part).toEqual([...part].sort((a, b) => a - b));
        }
        const firsts = parts.map(([first]) => first);
        expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
      }),
    );
  });

  it('keeps short examples together and a long one by itself', () => {
    expect(lengthsOf([60, 500, 90, 120])).toEqual([[60, 90, 120], [500]]);
  });

  it('computes like lengths at once, up to a number of places', () => {
    expect(lengthsOf([128, 128, 128, 128])).toEqual([[128, 128, 128, 128]]);
    expect(lengthsOf([512, 512, 512, 512])).toEqual([
      [512, 512],
      [512, 512],
    ]);
    expect(lengthsOf([2000, 2000])).toEqual([[2000], [2000]]);
    expect(lengthsOf([128, 128, 128, 128], 2).map(({ length }) => length)).toEqual([2, 2]);
  });

  it('brings those together that begin alike', () => {
    const answer = (prompt: number, index: number) =>
      textOf([
        ...Array.from({ length: 400 }, (_, at) => 10_000 * prompt + at),
        ...Array.from({ length: 50 }, (_, at) => 500 * index + at),
      ]);
    const answers = [answer(1, 1), answer(2, 2), answer(3, 3), answer(2, 4), answer(1, 5), answer(3, 6)];
    const parts = divideStep([...answers.keys()], (index) => [answers[index]]);
    const together = parts.find((part) => part.includes(0));
    expect(together).toContain(4);
    expect(parts.find((part) => part.includes(1))).toContain(3);
  });

  it('never parts what belongs to one item', () => {
    const pairs = [0, 1, 2].map((index) => examplesOf([400, 300]).map(({ ids }) => textOf([index, ...ids])));
    const parts = divideStep(pairs, (pair) => pair);
    expect(parts.flat()).toEqual(pairs);
  });
});
