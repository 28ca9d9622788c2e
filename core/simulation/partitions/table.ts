/** @file The ways to divide rows among virtual sites: a new one is a file of its own and a row here. */

import { TributaryError } from '../../errors.ts';
import type { Row } from '../rows.ts';
import { partitionByLabel } from './dirichlet.ts';
import { partitionEvenly } from './iid.ts';
import type { Partition } from './partition.ts';
import { partitionByQuantity } from './quantity.ts';
import { partitionBySource } from './source.ts';
import { topicsOf } from './topics.ts';

export interface PartitionOptions {
  /** How many; for `source` as many as there are sources. */
  readonly sites?: number;
  readonly seed: number;
  /** Concentration of the Dirichlet distribution: smaller is more uneven. */
  readonly alpha: number;
  /** Field of the rows that holds the label; without it topics of the texts take its place. */
  readonly by?: string;
}

/** Rows by the name of the site that has them, in the order of the names. */
export type Division = ReadonlyMap<string, readonly Row[]>;

type Partitioner = (
  rows: readonly Row[],
  options: Required<Omit<PartitionOptions, 'by'>> & { by?: string },
) => Partition;

const PARTITIONERS = {
  iid: (rows, { sites, seed }) => partitionEvenly(rows.length, sites, seed),
  dirichlet: (rows, options) => partitionByLabel(labelsOf(rows, options), options),
  quantity: (rows, options) => partitionByQuantity(rows.length, options),
} satisfies Record<string, Partitioner>;

export const PARTITIONS = ['iid', 'dirichlet', 'source', 'quantity'] as const satisfies readonly (
  keyof typeof PARTITIONERS | 'source'
)[];
export type PartitionName = (typeof PARTITIONS)[number];

/**
 * Divides rows among sites. Rows keep their order within a site. Equal options give equal divisions on every machine.
 * @throws TributaryError `simulation.too-few-rows`, `simulation.no-label`, `usage.invalid`
 */
export function divide(rows: readonly Row[], name: PartitionName, options: PartitionOptions): Division {
  if (name === 'source') {
    const sources = rows.map(({ source }) => source);
    const { names, partition } = partitionBySource(sources, options.sites);
    return named(rows, partition, names);
  }
  const { sites } = options;
  if (sites === undefined) {
    throw new TributaryError('usage.invalid', `The partition ${name} needs the number of sites.`);
  }
  const partition = PARTITIONERS[name](rows, { ...options, sites });
  const digits = String(sites).length;
  const names = partition.map((_, index) => `site-${String(index + 1).padStart(digits, '0')}`);
  return named(rows, partition, names);
}

function named(rows: readonly Row[], partition: Partition, names: readonly string[]): Division {
  return new Map(
    partition.map((indices, site) => [
      names[site],
      [...indices].sort((a, b) => a - b).map((row) => rows[row]),
    ]),
  );
}

/** The label of each row: a field, or the topic of its text. */
function labelsOf(
  rows: readonly Row[],
  { by, sites, seed }: { by?: string; sites: number; seed: number },
): string[] {
  if (by === undefined) {
    const texts = rows.map(({ example }) =>
      example.kind === 'conversation'
        ? example.messages.map(({ content }) => content).join('\n')
        : [...example.prompt.map(({ content }) => content), example.chosen].join('\n'),
    );
    return topicsOf(texts, Math.max(2 * sites, 4), seed).map(String);
  }
  return rows.map(({ record }, index) => {
    const value = record[by];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return String(value);
    throw new TributaryError(
      'simulation.no-label',
      `Row ${index + 1} has no field ${by} with a label; it has ${Object.keys(record).join(', ')}.`,
    );
  });
}
