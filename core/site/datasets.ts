/** @file What a site does with its vault: importing with what its training can use. */

import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import { parseRow } from '../training/examples.ts';
import { inspectFile } from '../vault/inspect.ts';
import { mappingShape } from '../vault/mapping-shape.ts';
import { applyMapping } from '../vault/mapping.ts';
import type { Mapping } from '../vault/mapping-shape.ts';
import { personalChoicesShape } from '../vault/personal/treatment.ts';
import { fileChoiceShape } from '../vault/readers/source.ts';
import type { FileChoice, SourceRow } from '../vault/readers/source.ts';
import type { Dataset, ImportOptions, Vault } from '../vault/vault.ts';
import type { SiteContext } from './context.ts';
import { settleDatasets } from './data-ledger.ts';
import { noRoomFor, requireRoom } from './room.ts';

const share = z.number().min(0).max(0.9);

/** What one may ask of an import. */
export const importRequest = z.object({
  ...fileChoiceShape.shape,
  file: z.string(),
  as: z.string(),
  /** Columns under other names; a short form of the mapping `fields`. */
  map: z.record(z.string(), z.string()).optional(),
  /** Without it and without `map`, the likeliest mapping is taken. */
  mapping: mappingShape.optional(),
  newVersion: z.boolean().optional(),
  skipBad: z.boolean().optional(),
  person: z.string().optional(),
  document: z.string().optional(),
  split: z.object({ validation: share, test: share }).optional(),
  withoutDuplicates: z.boolean().optional(),
  personal: personalChoicesShape.optional(),
});

export type DatasetImport = Omit<ImportOptions, 'mapping' | 'validate' | 'maximumGrowth'> & {
  readonly mapping?: Mapping;
};

export interface ImportedDataset {
  readonly dataset: Dataset;
  readonly mapping: Mapping;
  /** Datasets, by name and version, that were imported from the same file before. */
  readonly sameFile: readonly string[];
}

/**
 * Imports a file with rows that training can use. Throws as `Vault.importFile` does, `vault.no-mapping` where no
 * mapping is given and none fits, `policy.folder-size`.
 */
export async function importDataset(
  context: SiteContext,
  file: string,
  options: DatasetImport,
): Promise<ImportedDataset> {
  const { vault } = context;
  const mapping = options.mapping ?? (await likeliestMapping(file, options));
  const room = await requireRoom(context, (await stat(file)).size);
  const dataset = await vault
    .importFile(file, { ...options, mapping, validate: (row) => void parseRow(row), maximumGrowth: room })
    .catch(async (thrown: unknown) => {
      const isFull = thrown instanceof TributaryError && thrown.code === 'disk.full';
      const isOurs = isFull && (await machine.freeBytes(context.folder)) > room;
      throw isOurs ? noRoomFor(options.as, thrown) : thrown;
    });
  settleDatasets(context);
  return { dataset, mapping, sameFile: sameFileAs(vault, dataset) };
}

/** Other datasets, by name and version, that came from the same file. */
export function sameFileAs(vault: Vault, { reference: own, lineage: { file } }: Dataset): string[] {
  if (file === null) return [];
  return vault
    .datasets({ allVersions: true })
    .filter(({ reference, lineage }) => reference !== own && lineage.file?.sha256 === file.sha256)
    .map(({ reference }) => reference);
}

/** The mapping that fits most rows of the sample; rows that are examples already stay as they are. */
async function likeliestMapping(file: string, choice: FileChoice): Promise<Mapping> {
  const { sample, guess, columns } = await inspectFile(file, choice);
  const asTheyAre: Mapping = { kind: 'fields', fields: {} };
  const best = [guess?.mapping, asTheyAre]
    .filter((mapping) => mapping !== undefined)
    .map((mapping) => ({ mapping, fits: sample.filter((record) => isUsable(mapping, record)).length }))
    .reduce((one, other) => (other.fits > one.fits ? other : one));
  if (best.fits > 0) return best.mapping;
  const names = columns.map(({ name }) => `“${name}”`).join(', ');
  throw new TributaryError('vault.no-mapping', `No mapping fits the columns ${names} of ${file}.`);
}

function isUsable(mapping: Mapping, record: SourceRow): boolean {
  const mapped = applyMapping(mapping, record);
  if ('problem' in mapped) return false;
  try {
    parseRow(mapped.row);
    return true;
  } catch {
    return false;
  }
}
