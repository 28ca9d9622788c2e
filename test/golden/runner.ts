/** @file Walks a folder of golden files and sends each to its check. */

import { readdirSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Check } from './check.ts';

export interface Route {
  /** Which files it checks, by their path within the folder, with forward slashes. */
  readonly pattern: RegExp;
  readonly check: (file: string) => Check[] | Promise<Check[]>;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Files that a vector file reads: weights, adapters, configurations. */
const companion =
  /\.safetensors$|^model\.safetensors\.index\.json$|^config(\.v\d+)?\.json$|^adapter_config\.json$/;
/** Files that say nothing about numbers. */
const documentation = /^(README|LICENSE)/;

/**
 * Runs the first fitting route for every file and prints one line a check. A file without a route is reported as
 * skipped by its name; documentation, and companions of a vector file beside them or beside their `adapter` folder, are not.
 */
export async function runGolden(
  folder: string,
  routes: readonly Route[],
  print: (line: string) => void,
): Promise<Totals> {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const path of listVectors(folder)) {
    const route = routes.find(({ pattern }) => pattern.test(path));
    const checks = route ? await runRoute(route, join(folder, path)) : [noCheck];
    for (const { name, status, detail } of checks) {
      totals[status]++;
      print(`${status.padEnd(7)}  ${path}${name ? `  ${name}` : ''}${detail ? `: ${detail}` : ''}`);
    }
  }
  return totals;
}

const noCheck: Check = { name: '', status: 'skipped', detail: 'there is no check for this file' };

async function runRoute({ check }: Route, file: string): Promise<Check[]> {
  try {
    return await check(file);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return [{ name: 'reading the file', status: 'failed', detail }];
  }
}

/** Paths of all files but documentation and companions, sorted. */
function listVectors(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !documentation.test(basename(path)))
    .sort();
  const vectors = files.filter((path) => !companion.test(basename(path)));
  const folders = new Set(vectors.map((path) => dirname(path)));
  const belongs = (path: string): boolean =>
    folders.has(dirname(path)) ||
    (basename(dirname(path)) === 'adapter' && folders.has(dirname(dirname(path))));
  return files.filter((path) => !companion.test(basename(path)) || !belongs(path));
}
