/** @file The sample institutions that come with the project. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { resourcesFolder } from '../../../core/resources.ts';
import { readJsonl, type Example, type PreferenceExample } from '../../../core/training/examples.ts';

export interface Institution {
  readonly name: string;
  /** Its private rows. */
  readonly train: string;
  readonly examples: readonly (Example | PreferenceExample)[];
}

export interface Institutions {
  readonly plan: string;
  readonly sites: readonly Institution[];
  /** Held-out rows of all of them, which nobody trains on. */
  readonly heldOut: readonly (Example | PreferenceExample)[];
}

export const SAMPLES = ['clinics', 'banks'] as const;
export type Sample = (typeof SAMPLES)[number];

export const OBJECTIVES = ['sft', 'dpo'] as const;
export type Objective = (typeof OBJECTIVES)[number];

/** What the files of an institution are called, and what its plan adds to the sample's name. */
const FILES = {
  sft: { train: 'train.jsonl', heldOut: 'heldout.jsonl', plan: '' },
  dpo: { train: 'preferences.jsonl', heldOut: 'preferences-heldout.jsonl', plan: '-preferences' },
} as const;

/** Reads the institutions of `resources/samples` with the rows that an objective trains on. */
export async function readInstitutions(sample: Sample, objective: Objective): Promise<Institutions> {
  const files = FILES[objective];
  const root = join(resourcesFolder(), 'samples');
  const folder = join(root, sample);
  const names = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
  const read = async (path: string): Promise<Institution['examples']> =>
    (await readJsonl(path, { objective, skipBad: false })).examples;
  const sites = await Promise.all(
    names.sort().map(async (name) => {
      const train = join(folder, name, files.train);
      return { name, train, examples: await read(train) };
    }),
  );
  const heldOutFiles = [folder, ...names.map((name) => join(folder, name))]
    .map((place) => join(place, files.heldOut))
    .filter((path) => existsSync(path));
  const heldOut = (await Promise.all(heldOutFiles.map(read))).flat();
  return { plan: join(root, 'plans', `${sample}${files.plan}.json`), sites, heldOut };
}
