/** @file The public datasets that Tributary knows by name, from `resources/datasets.json`, and where they lie here. */

import { join } from 'node:path';
import { z } from 'zod';
import datasets from '../../../resources/datasets.json' with { type: 'json' };
import { TributaryError } from '../../errors.ts';
import { sourceShape } from '../../fetching/sources.ts';
import { dataFolder } from '../../folders.ts';
import { presetNamed } from '../guess/presets.ts';
import type { Mapping } from '../mapping-shape.ts';
import { PUBLIC_TOPICS } from './topics.ts';

const entryShape = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  /** Its name where it is published. */
  name: z.string(),
  topic: z.enum(PUBLIC_TOPICS),
  /** As its publisher states it. */
  licence: z.string(),
  languages: z.array(z.string().regex(/^[a-z]{2,3}$/)).min(1),
  /** Kept for measuring: to train on it would spoil what it measures. */
  evaluation: z.boolean().default(false),
  file: z.string().regex(/^[\w-][\w.-]*\.(parquet|jsonl?|csv)$/),
  /** Size of the file; about, where it is not pinned. */
  bytes: z.int().positive(),
  /** Null: unpinned, since the hash could not be checked. It is remembered at first use. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  /** The row of `resources/mappings.json` that maps its columns. */
  preset: z.string(),
  sources: z.array(sourceShape).min(1),
});
type Entry = z.infer<typeof entryShape>;

export interface PublicDataset extends Entry {
  readonly mapping: Mapping;
}

export const PUBLIC_DATASETS: readonly PublicDataset[] = z
  .strictObject({ datasets: z.array(entryShape) })
  .parse(datasets)
  .datasets.map((entry) => ({ ...entry, mapping: presetNamed(entry.preset).mapping }));

/** @throws TributaryError `data.unknown-set` */
export function publicDataset(id: string): PublicDataset {
  const found = PUBLIC_DATASETS.find((entry) => entry.id === id);
  if (found !== undefined) return found;
  const known = PUBLIC_DATASETS.map((entry) => entry.id).join(', ');
  throw new TributaryError('data.unknown-set', `There is no public dataset ${id}, only ${known}.`);
}

/** The user's folder of public datasets. */
export function publicFolder(): string {
  return join(dataFolder(), 'datasets');
}
