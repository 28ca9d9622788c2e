/** @file A file of log-probabilities that were computed once: see `reference.ts`. */

import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { writeFileAtomically } from '../files.ts';

/** log π of a pair's answers. */
export interface AnswerScores {
  readonly chosen: number;
  readonly rejected: number;
}

/** By the hash of the pair's tokens, in hexadecimal. */
export type ScoresByPair = Map<string, AnswerScores>;

const HASH_BYTES = 32;
const RECORD_BYTES = HASH_BYTES + 2 * Float64Array.BYTES_PER_ELEMENT;
/** More pairs than this are not kept: the oldest go. */
const MOST_PAIRS = 200_000;

/**
 * Reads what {@link writeScores} wrote for the same key. A file that is not there, cut short, altered or of another
 * key gives nothing, for its contents can be computed again.
 */
export async function readScores(path: string, key: string): Promise<ScoresByPair> {
  const scores: ScoresByPair = new Map();
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch {
    return scores;
  }
  const records = file.subarray(HASH_BYTES);
  if (!file.subarray(0, HASH_BYTES).equals(seal(key, records))) return scores;
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    scores.set(records.toString('hex', at, at + HASH_BYTES), {
      chosen: records.readDoubleLE(at + HASH_BYTES),
      rejected: records.readDoubleLE(at + HASH_BYTES + Float64Array.BYTES_PER_ELEMENT),
    });
  }
  return scores;
}

/** Writes the newest pairs: the seal, then for each the hash of its tokens and two float64, little-endian. */
export async function writeScores(path: string, key: string, scores: ScoresByPair): Promise<void> {
  const kept = [...scores].slice(-MOST_PAIRS);
  const records = Buffer.alloc(kept.length * RECORD_BYTES);
  for (const [index, [pair, { chosen, rejected }]] of kept.entries()) {
    const at = index * RECORD_BYTES;
    records.write(pair, at, 'hex');
    records.writeDoubleLE(chosen, at + HASH_BYTES);
    records.writeDoubleLE(rejected, at + HASH_BYTES + Float64Array.BYTES_PER_ELEMENT);
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomically(path, Buffer.concat([seal(key, records), records]));
}

/** SHA-256 of the key and the records. */
function seal(key: string, records: Buffer): Buffer {
  return createHash('sha256').update(key).update('\n').update(records).digest();
}
