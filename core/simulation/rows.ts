/** @file The rows that a simulation divides among its virtual sites: a JSONL file, or a folder of them. */

import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import { sha256 } from '../federation/canonical.ts';
import { brokenLineError, readJsonLines } from '../jsonl.ts';
import { parseRowFor } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';

/** A row as a training uses it, and what partitioners look at. */
export interface Row {
  readonly example: Example | PreferenceExample;
  /** The row's fields as they stand in the file. */
  readonly record: Readonly<Record<string, unknown>>;
  /** The file, or the folder of files, that it comes from: the name without ending. */
  readonly source: string;
}

export interface Rows {
  /** To be divided among the sites. */
  readonly rows: readonly Row[];
  /** Of files called `heldout.jsonl` or `…-heldout.jsonl`, on which nobody trains. */
  readonly heldOut: readonly Row[];
  /** Rows of another kind than the objective trains on. */
  readonly skipped: number;
}

type Objective = 'sft' | 'dpo';

const HELD_OUT = /(?:^|[-_.])heldout\.jsonl$/;

/**
 * Reads one JSONL file, or every JSONL file of a folder and of its subfolders; a subfolder is one source. Files whose
 * names end in `heldout.jsonl` hold the rows to evaluate on.
 * @throws TributaryError `data.broken-line`, `data.row-too-long`, `data.empty`, `file.not-found`
 */
export async function readRows(path: string, objective: Objective): Promise<Rows> {
  const rows: Row[] = [];
  const heldOut: Row[] = [];
  let skipped = 0;
  for (const { file, source } of filesOf(path)) {
    const into = HELD_OUT.test(basename(file)) ? heldOut : rows;
    for await (const line of readJsonLines(file)) {
      if (!('record' in line)) throw brokenLineError(file, line);
      try {
        into.push({ example: parseRowFor(objective, line.record), record: line.record, source });
      } catch (thrown) {
        if (toTributaryError(thrown).code !== 'data.broken-line') throw thrown;
        skipped += 1;
      }
    }
  }
  if (rows.length === 0) {
    const others = skipped > 0 ? ` Of the ${skipped} rows there none is of the kind it needs.` : '';
    throw new TributaryError('data.empty', `${path} holds no rows for the objective ${objective}.${others}`);
  }
  return { rows, heldOut, skipped };
}

/** Identifies rows by their content and order. */
export function hashOfRows(rows: readonly Row[]): string {
  return sha256(JSON.stringify(rows.map(({ example, record, source }) => [source, example, record])));
}

/** The files to read in the order of their names. */
function filesOf(path: string): { file: string; source: string }[] {
  if (!statSync(path).isDirectory()) return [{ file: path, source: withoutEnding(basename(path)) }];
  const isRows = (name: string): boolean => name.endsWith('.jsonl');
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const place = join(path, entry.name);
    if (!entry.isDirectory()) {
      return isRows(entry.name) ? [{ file: place, source: withoutEnding(entry.name) }] : [];
    }
    return readdirSync(place)
      .filter(isRows)
      .sort()
      .map((name) => ({ file: join(place, name), source: entry.name }));
  });
}

function withoutEnding(name: string): string {
  return name.replace(/\.jsonl$/, '');
}
