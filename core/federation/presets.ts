/** @file The plans that come with the program, to begin with: YAML files, whose first comment says what each is for. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { TributaryError } from '../errors.ts';
import { resourcesFolder } from '../resources.ts';

const ENDING = '.yaml';

const folder = (): string => join(resourcesFolder(), 'plans');

/** Their names, in alphabetical order. */
export async function presetNames(): Promise<string[]> {
  const files = await readdir(folder());
  return files.flatMap((file) => (file.endsWith(ENDING) ? [file.slice(0, -ENDING.length)] : [])).sort();
}

/** A plan as it was written, not yet checked, and what it is for. Throws `usage.invalid` for an unknown name. */
export async function readPreset(name: string): Promise<{ readonly plan: unknown; readonly about: string }> {
  const known = await presetNames();
  if (!known.includes(name)) {
    throw new TributaryError('usage.invalid', `There is no preset “${name}”; there are ${known.join(', ')}.`);
  }
  const text = await readFile(join(folder(), `${name}${ENDING}`), 'utf8');
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('#'));
  const about = lines.slice(0, end).map((line) => line.replace(/^#\s*/, ''));
  return { plan: parse(text), about: about.join(' ') };
}
