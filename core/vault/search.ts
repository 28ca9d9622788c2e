/** @file Search through the rows of a dataset. They are encrypted, so every block is opened and looked through. */

import { setImmediate as breathe } from 'node:timers/promises';
import { linesOf } from './blocks.ts';
import type { OpenedBlock } from './blocks.ts';
import type { VaultRow } from './mapping.ts';

export interface SearchHit {
  /** From 0, in the order of the file. */
  readonly position: number;
  readonly row: VaultRow;
  /** The field in which the words were found first, and where in its text. */
  readonly field: string;
  readonly start: number;
  readonly end: number;
}

export interface SearchOptions {
  readonly signal?: AbortSignal;
  /** Told of every few blocks that have been looked through. */
  readonly onProgress?: (progress: { readonly rows: number; readonly totalRows: number }) => void;
}

/** Milliseconds of work between two looks at what else the process has to do. */
const SLICE_MILLISECONDS = 15;

/**
 * Rows that hold a text, whatever the case of its letters, as they are found.
 * Throws the signal's reason when it aborts.
 */
export async function* searchBlocks(
  blocks: Iterable<OpenedBlock>,
  { query, totalRows, parse }: { query: string; totalRows: number; parse: (json: string) => VaultRow },
  { signal, onProgress }: SearchOptions,
): AsyncGenerator<SearchHit> {
  const wanted = query.toLowerCase();
  if (wanted === '') return;
  // Rows are JSON, in which quotes and line breaks are escaped.
  const escaped = JSON.stringify(wanted).slice(1, -1);
  let slice = performance.now();
  for (const block of blocks) {
    signal?.throwIfAborted();
    // Most blocks hold no hit; only the others are taken apart.
    if (block.text.toString('utf8').toLowerCase().includes(escaped)) {
      let position = block.first;
      for (const { json } of linesOf(block)) {
        const found = json.toLowerCase().includes(escaped) ? findIn(parse(json), wanted) : null;
        if (found !== null) yield { position, ...found };
        position++;
      }
    }
    if (performance.now() - slice < SLICE_MILLISECONDS) continue;
    onProgress?.({ rows: block.first + block.rows, totalRows });
    await breathe();
    slice = performance.now();
  }
  onProgress?.({ rows: totalRows, totalRows });
}

/** The first field of a row whose text holds the words, also in a list of messages. */
function findIn(row: VaultRow, wanted: string): Omit<SearchHit, 'position'> | null {
  for (const [field, value] of Object.entries(row)) {
    const found = findInValue(value, wanted);
    if (found !== null) return { row, field, start: found, end: found + wanted.length };
  }
  return null;
}

function findInValue(value: unknown, wanted: string): number | null {
  if (typeof value === 'string' || typeof value === 'number') {
    const at = String(value).toLowerCase().indexOf(wanted);
    return at < 0 ? null : at;
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const inner of Object.values(value)) {
    const found = findInValue(inner, wanted);
    if (found !== null) return found;
  }
  return null;
}
