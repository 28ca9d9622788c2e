/** @file The sample institutions that come with the project. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { TributaryError } from '../../../core/errors.ts';
import { readJsonl, type Example } from '../../../core/training/examples.ts';

export interface Institution {
  readonly name: string;
  /** Its private rows. */
  readonly train: string;
  readonly examples: readonly Example[];
}

export interface Institutions {
  readonly plan: string;
  readonly sites: readonly Institution[];
  /** Held-out rows of all of them, which nobody trains on. */
  readonly heldOut: readonly Example[];
}

export const SAMPLES = ['clinics', 'banks'] as const;
export type Sample = (typeof SAMPLES)[number];

/** Reads the institutions of `resources/samples`. */
export async function readInstitutions(sample: Sample): Promise<Institutions> {
  const root = join(resources(), 'samples');
  const folder = join(root, sample);
  const names = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
  const read = async (path: string) => (await readJsonl(path, { objective: 'sft', skipBad: false })).examples;
  const sites = await Promise.all(
    names.sort().map(async (name) => {
      const train = join(folder, name, 'train.jsonl');
      return { name, train, examples: await read(train) };
    }),
  );
  const heldOutFiles = [folder, ...names.map((name) => join(folder, name))]
    .map((place) => join(place, 'heldout.jsonl'))
    .filter((path) => existsSync(path));
  const heldOut = (await Promise.all(heldOutFiles.map(read))).flat();
  return { plan: join(root, 'plans', `${sample}.json`), sites, heldOut };
}

/** The project's `resources`, seen from the built program or from the sources. */
function resources(): string {
  const found = ['..', '../..', '../../..']
    .map((up) => join(import.meta.dirname, up, 'resources'))
    .find((path) => existsSync(path));
  if (found === undefined) throw new TributaryError('file.not-found', 'The folder resources is missing.');
  return found;
}
