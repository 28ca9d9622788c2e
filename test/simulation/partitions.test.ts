import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partitionByLabel } from '../../core/simulation/partitions/dirichlet.ts';
import { partitionEvenly } from '../../core/simulation/partitions/iid.ts';
import { apportion, dirichlet } from '../../core/simulation/partitions/partition.ts';
import type { Partition } from '../../core/simulation/partitions/partition.ts';
import { partitionByQuantity } from '../../core/simulation/partitions/quantity.ts';
import { partitionBySource } from '../../core/simulation/partitions/source.ts';
import { topicsOf } from '../../core/simulation/partitions/topics.ts';
import { divide } from '../../core/simulation/partitions/table.ts';
import { holdOut } from '../../core/simulation/split.ts';
import type { Row } from '../../core/simulation/rows.ts';
import { Random } from '../../core/random.ts';

const sizes = fc.integer({ min: 1, max: 12 }).chain((sites) =>
  fc.record({
    sites: fc.constant(sites),
    rows: fc.integer({ min: 2 * sites, max: 200 }),
    seed: fc.nat(1000),
    alpha: fc.constantFrom(0.001, 0.1, 0.3, 1, 100),
  }),
);

/** Every row once, no site without rows, and the same again. */
function expectPartition(partition: Partition, rows: number, sites: number): void {
  expect(partition).toHaveLength(sites);
  expect(partition.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, row) => row));
  for (const site of partition) expect(site.length).toBeGreaterThanOrEqual(2);
}

describe('partitions have every row exactly once, as the seed says', () => {
  it('evenly', () => {
    fc.assert(
      fc.property(sizes, ({ rows, sites, seed }) => {
        const partition = partitionEvenly(rows, sites, seed);
        expectPartition(partition, rows, sites);
        for (const { length } of partition) {
          expect(length === Math.floor(rows / sites) || length === Math.ceil(rows / sites)).toBe(true);
        }
        expect(partitionEvenly(rows, sites, seed)).toEqual(partition);
      }),
    );
  });

  it('by label', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), ({ rows, sites, seed, alpha }, kinds) => {
        const labels = Array.from({ length: rows }, (_, row) => `label ${row % kinds}`);
        const partition = partitionByLabel(labels, { sites, alpha, seed });
        expectPartition(partition, rows, sites);
        expect(partitionByLabel(labels, { sites, alpha, seed })).toEqual(partition);
      }),
    );
  });

  it('by quantity', () => {
    fc.assert(
      fc.property(sizes, ({ rows, ...options }) => {
        const partition = partitionByQuantity(rows, options);
        expectPartition(partition, rows, options.sites);
        expect(partitionByQuantity(rows, options)).toEqual(partition);
      }),
    );
  });

  it('by source', () => {
    const sources = ['b', 'a', 'b', 'a', 'a'];
    expect(partitionBySource(sources)).toEqual({
      names: ['a', 'b'],
      partition: [
        [1, 3, 4],
        [0, 2],
      ],
    });
    expect(() => partitionBySource(sources, 3)).toThrow(/2 sources \(a, b\), not 3/);
    expect(() => partitionBySource(['a', 'a', 'b'])).toThrow(/b has 1 rows/);
  });
});

it('another seed divides otherwise', () => {
  expect(partitionEvenly(50, 4, 1)).not.toEqual(partitionEvenly(50, 4, 2));
  const labels = Array.from({ length: 90 }, (_, row) => String(row % 3));
  const at = (seed: number) => partitionByLabel(labels, { sites: 4, alpha: 0.3, seed });
  expect(at(1)).not.toEqual(at(2));
});

it('too few rows are refused with both numbers', () => {
  expect(() => partitionEvenly(7, 4, 0)).toThrow(/7 rows cannot be divided among 4 sites/);
});

it('a small alpha makes sites know few labels, a large one makes them alike', () => {
  const labels = Array.from({ length: 600 }, (_, row) => String(row % 3));
  const largestShare = (alpha: number): number => {
    const shares = [1, 2, 3, 4, 5].flatMap((seed) =>
      partitionByLabel(labels, { sites: 4, alpha, seed }).map((rows) => {
        const counts = ['0', '1', '2'].map((label) => rows.filter((row) => labels[row] === label).length);
        return Math.max(...counts) / rows.length;
      }),
    );
    return shares.reduce((sum, share) => sum + share, 0) / shares.length;
  };
  expect(largestShare(0.1)).toBeGreaterThan(0.75);
  expect(largestShare(1000)).toBeLessThan(0.4);
});

it('a Dirichlet draw has the mean and the variance of the distribution', () => {
  const random = new Random('test');
  for (const alpha of [0.3, 2]) {
    const draws = Array.from({ length: 4000 }, () => dirichlet(random, 4, alpha)[0]);
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(0.25, 1);
    // Var = (1/k)·(1 − 1/k) / (k·alpha + 1)
    expect(Math.abs(variance / ((0.25 * 0.75) / (4 * alpha + 1)) - 1)).toBeLessThan(0.1);
  }
});

it('apportions exactly, to within one of the proportion', () => {
  fc.assert(
    fc.property(
      fc.nat(1000),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 9 }),
      (total, shares) => {
        const counts = apportion(total, shares);
        expect(counts.reduce((a, b) => a + b, 0)).toBe(total);
        const sum = shares.reduce((a, b) => a + b, 0);
        if (sum === 0) return;
        for (const [index, count] of counts.entries()) {
          expect(Math.abs(count - (total * shares[index]) / sum)).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});

it('topics keep texts about different things apart', () => {
  const subjects = [
    ['heart', 'pulse', 'valve', 'artery', 'cardiology'],
    ['loan', 'interest', 'credit', 'mortgage', 'bank'],
    ['skin', 'rash', 'eczema', 'cream', 'itch'],
  ];
  const random = new Random('texts');
  const texts = Array.from({ length: 60 }, (_, index) =>
    Array.from({ length: 6 }, () => subjects[index % 3][random.below(5)]).join(' '),
  );
  const topics = topicsOf(texts, 3, 7);
  expect(topicsOf(texts, 3, 7)).toEqual(topics);
  const bySubject = [0, 1, 2].map((subject) => new Set(topics.filter((_, index) => index % 3 === subject)));
  for (const found of bySubject) expect(found.size).toBe(1);
  expect(new Set(bySubject.map(([topic]) => topic)).size).toBe(3);
});

function row(index: number, record: Record<string, unknown> = {}): Row {
  const example = {
    kind: 'conversation' as const,
    messages: [
      { role: 'user' as const, content: `question ${index}` },
      { role: 'assistant' as const, content: 'yes' },
    ],
  };
  return { example, record, source: 'rows' };
}

it('names sites so that their order is that of their numbers, and keeps the order of rows', () => {
  const rows = Array.from({ length: 40 }, (_, index) => row(index, { label: String(index % 2) }));
  const division = divide(rows, 'dirichlet', { sites: 12, alpha: 1, seed: 3, by: 'label' });
  expect([...division.keys()].slice(0, 2)).toEqual(['site-01', 'site-02']);
  expect([...division.keys()].sort()).toEqual([...division.keys()]);
  for (const own of division.values()) {
    const indices = own.map((each) => rows.indexOf(each));
    expect(indices).toEqual([...indices].sort((a, b) => a - b));
  }
  expect(() => divide(rows, 'dirichlet', { sites: 2, alpha: 1, seed: 3, by: 'topic' })).toThrow(
    /Row 1 has no field topic with a label; it has label/,
  );
  expect(divide(rows, 'dirichlet', { sites: 2, alpha: 1, seed: 3 }).size).toBe(2);
});

it('holds out the share that is asked, at least one row and never all', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 60 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.nat(99),
      (count, share, seed) => {
        const rows = Array.from({ length: count }, (_, index) => index);
        const { train, heldOut } = holdOut(rows, share, [seed, 'site']);
        expect([...train, ...heldOut].sort((a, b) => a - b)).toEqual(rows);
        expect(heldOut.length).toBe(Math.min(count - 1, Math.max(1, Math.round(count * share))));
        expect(holdOut(rows, share, [seed, 'site'])).toEqual({ train, heldOut });
      },
    ),
  );
});
