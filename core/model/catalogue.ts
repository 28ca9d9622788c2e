/** @file The models Tributary knows by name, and where they lie on this machine. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { FilePlace } from '../fetching/first-use.ts';
import { sourceShape } from '../fetching/sources.ts';
import { dataFolder, shippedFolder } from '../folders.ts';
import { resourcesFolder } from '../resources.ts';
import catalogue from '../../resources/models.json' with { type: 'json' };

const size = z.number().int().positive();
const positive = z.number().positive();

/** Shape of a model as written to files: the catalogue and adapter folders. */
export const configurationSchema = z.object({
  modelType: z.string(),
  hiddenSize: size,
  intermediateSize: size,
  layers: size,
  attentionHeads: size,
  keyValueHeads: size,
  headSize: size,
  vocabularySize: size,
  maximumPositions: size,
  rmsNormEpsilon: positive,
  ropeTheta: positive,
  ropeScaling: z
    .object({
      type: z.literal('llama3'),
      factor: positive,
      lowFrequencyFactor: positive,
      highFrequencyFactor: positive,
      originalMaximumPositions: size,
    })
    .nullable(),
  tiedEmbedding: z.boolean(),
  attentionBias: z.boolean(),
  headNorms: z.boolean().optional(),
  slidingWindow: size.optional(),
});

const fileName = z.string().regex(/^[\w-][\w.-]*$/);
const entrySchema = z
  .object({
    id: z.string(),
    /** For people. */
    name: z.string(),
    licence: z.string(),
    /** Codes of the languages that its makers name, the most important ones where they are many. */
    languages: z.array(z.string().regex(/^[a-z]{2,3}$/)).min(1),
    file: fileName,
    /** Size of the file; about, where it is not pinned. */
    bytes: size,
    /** Null: unpinned, since the hash could not be checked. It is remembered at first use (`fetching/first-use.ts`). */
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable(),
    parameters: size,
    /** Enough to make an initial adapter without the file, where that is pinned. */
    configuration: configurationSchema,
    /** Tried in this order. */
    sources: z.array(sourceShape),
  })
  .refine(({ sha256, sources }) => sha256 !== null || sources.every(({ kind }) => kind === 'hugging-face'), {
    message: 'an unpinned model comes from a hub',
  });
export type CatalogueEntry = z.infer<typeof entrySchema>;

/** The models of `resources/models.json`. */
export const CATALOGUE: readonly CatalogueEntry[] = z
  .object({ models: z.array(entrySchema) })
  .parse(catalogue).models;

export function findInCatalogue(id: string): CatalogueEntry | undefined {
  return CATALOGUE.find((entry) => entry.id === id);
}

/** The user's model folder. */
export function modelFolder(): string {
  return join(dataFolder(), 'models');
}

/**
 * Where a model of the catalogue lies, or will: in the user's folder or, where that has none, beside an installed
 * program. Only a pinned model is taken from there, for its hash says that it is the one.
 */
export function placeOfModel({ file, sha256 }: Pick<CatalogueEntry, 'file' | 'sha256'>): string {
  const own = join(modelFolder(), file);
  if (sha256 === null || existsSync(own)) return own;
  return (
    shippedModelFolders()
      .map((folder) => join(folder, file))
      .find((path) => existsSync(path)) ?? own
  );
}

/** `models` among what the desktop program was packed with, or in the resources of a folder made for servers. */
function shippedModelFolders(): string[] {
  return [shippedFolder(), resourcesFolder()].flatMap((folder) =>
    folder === undefined ? [] : [join(folder, 'models')],
  );
}

export function modelPlace(folder = modelFolder()): FilePlace {
  return {
    folder,
    kind: {
      noun: 'model',
      notReachable: 'model.not-reachable',
      otherHash: 'model.hash-mismatch',
      damaged: 'model.damaged',
    },
  };
}
