import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bootstrapInterval } from '../../core/evaluation/metrics/bootstrap.ts';
import { meanInterval, wilsonInterval } from '../../core/evaluation/metrics/interval.ts';
import { classify } from '../../core/evaluation/metrics/classification.ts';
import { passAtK } from '../../core/evaluation/metrics/pass-at-k.ts';
import { porterStem } from '../../core/evaluation/metrics/porter-stemmer.ts';
import { rouge } from '../../core/evaluation/metrics/rouge.ts';
import { checkMetrics } from '../golden/checks/metrics.ts';

describe('golden metrics', () => {
  it.each(checkMetrics(join(import.meta.dirname, '../golden/metrics.json')))(
    '$name',
    ({ status, detail }) => {
      expect(status, detail).toBe('passed');
    },
  );
});

describe('porterStem', () => {
  it.each([
    ['caresses', 'caress'],
    ['ponies', 'poni'],
    ['ties', 'tie'],
    ['cats', 'cat'],
    ['feed', 'feed'],
    ['agreed', 'agre'],
    ['plastered', 'plaster'],
    ['bled', 'bled'],
    ['motoring', 'motor'],
    ['sing', 'sing'],
    ['conflated', 'conflat'],
    ['troubled', 'troubl'],
    ['sized', 'size'],
    ['hopping', 'hop'],
    ['falling', 'fall'],
    ['fizzed', 'fizz'],
    ['failing', 'fail'],
    ['filing', 'file'],
    ['happy', 'happi'],
    ['enjoy', 'enjoy'],
    ['relational', 'relat'],
    ['conditional', 'condit'],
    ['formally', 'formal'],
    ['archaeology', 'archaeolog'],
    ['triplicate', 'triplic'],
    ['goodness', 'good'],
    ['adoption', 'adopt'],
    ['effective', 'effect'],
    ['probate', 'probat'],
    ['cease', 'ceas'],
    ['controlling', 'control'],
    ['roll', 'roll'],
    ['dying', 'die'],
    ['spied', 'spi'],
    ['died', 'die'],
  ])('%s → %s', (word, stem) => {
    expect(porterStem(word)).toBe(stem);
  });
});

describe('edge cases', () => {
  it('scores empty sets and empty texts as 0', () => {
    expect(classify([], [])).toMatchObject({ accuracy: 0, macroF1: 0, weightedF1: 0, labels: [] });
    const nothing = { precision: 0, recall: 0, f: 0 };
    expect(rouge('', '', { stem: true })).toEqual({ rouge1: nothing, rouge2: nothing, rougeL: nothing });
  });

  it('is certain of pass@k when fewer than k samples are wrong', () => {
    expect([passAtK(5, 3, 3), passAtK(5, 0, 5), passAtK(4, 1, 2)]).toEqual([1, 0, 0.5]);
  });

  it('gives a narrower interval at a lower level', () => {
    const values = [1, 0, 1, 1, 0, 0, 1, 1];
    const wide = bootstrapInterval(values, { level: 0.99 });
    const narrow = bootstrapInterval(values, { level: 0.5 });
    expect(wide.lower).toBeLessThan(narrow.lower);
    expect(wide.upper).toBeGreaterThan(narrow.upper);
  });
});

describe('the interval of a share', () => {
  const share = (ones: number, n: number) => Array.from({ length: n }, (_, i) => (i < ones ? 1 : 0));

  // Newcombe, Two-sided confidence intervals for the single proportion (Statistics in Medicine 17, 1998), table I.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('of %i among %i is as published', (ones, n, lower, upper) => {
    const interval = wilsonInterval(share(ones, n));
    expect(interval.mean).toBeCloseTo(ones / n, 12);
    expect(interval.lower).toBeCloseTo(lower, 4);
    expect(interval.upper).toBeCloseTo(upper, 4);
  });

  it('is never without width, and a mean of other values is resampled', () => {
    expect(meanInterval(share(12, 12))).toMatchObject({ mean: 1, upper: 1 });
    expect(meanInterval(share(12, 12)).lower).toBeLessThan(0.8);
    const values = [0.5, 2, 1, 0];
    expect(meanInterval(values)).toEqual(bootstrapInterval(values));
  });
});
