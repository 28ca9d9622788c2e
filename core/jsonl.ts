/** @file Reads JSON Lines as a stream: one object a line, the lines cut at `\n` only. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { TributaryError } from './errors.ts';

/** Longest accepted line in bytes; a longer one is reported and passed over without being held in memory. */
export const MAXIMUM_LINE_BYTES = 16 * 1024 * 1024;

export interface JsonLine {
  /** Counted from 1, blank lines included. */
  readonly line: number;
  readonly record: Readonly<Record<string, unknown>>;
}

export interface BrokenLine {
  readonly line: number;
  readonly code: 'data.broken-line' | 'data.row-too-long';
  /** Completes the sentence "Line 3 of rows.jsonl …". */
  readonly problem: string;
}

const NEWLINE = 0x0a;

/** Yields every line's object, or what is wrong with the line. Blank lines are passed over. */
export async function* readJsonLines(path: string): AsyncGenerator<JsonLine | BrokenLine> {
  let line = 0;
  for await (const bytes of readLines(path)) {
    line++;
    if (bytes === null) {
      const problem = `is longer than ${MAXIMUM_LINE_BYTES} bytes`;
      yield { line, code: 'data.row-too-long', problem };
      continue;
    }
    const parsed = parseObject(bytes);
    if (typeof parsed === 'string') yield { line, code: 'data.broken-line', problem: parsed };
    else if (parsed !== null) yield { line, record: parsed };
  }
}

/** The error that names a broken line by file and number. */
export function brokenLineError(path: string, broken: BrokenLine): TributaryError {
  return new TributaryError(broken.code, `Line ${broken.line} of ${path} ${broken.problem}.`);
}

/** The bytes of each line without its newline, or null for a line that is too long. */
async function* readLines(path: string): AsyncGenerator<Buffer | null> {
  if ((await stat(path)).isDirectory()) {
    throw new TributaryError('file.wrong-kind', `${path} is a folder, not a file.`);
  }
  let pieces: Buffer[] = [];
  let held = 0;
  const take = (piece: Buffer): void => {
    held += piece.length;
    if (held > MAXIMUM_LINE_BYTES) pieces = [];
    else pieces.push(piece);
  };
  const finish = (): Buffer | null => {
    const whole = held > MAXIMUM_LINE_BYTES ? null : Buffer.concat(pieces);
    pieces = [];
    held = 0;
    return whole;
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield finish();
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  if (held > 0) yield finish();
}

/** The object of a line, null for a blank line, or a sentence's end saying what is wrong. */
function parseObject(bytes: Buffer): Record<string, unknown> | string | null {
  let text: string;
  try {
    // A byte-order mark at the start is dropped by the decoder.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return 'is not UTF-8';
  }
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `is not JSON (${describeParseError(error, text.trimEnd().length)})`;
  }
  return isObject(value) ? value : 'is not a JSON object';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** V8's message quotes the text around the fault; a row has no place in a log, so only the position is kept. */
function describeParseError(error: unknown, length: number): string {
  const message = error instanceof Error ? error.message : '';
  const position = /at position (\d+)/.exec(message)?.[1];
  if (/^Unterminated|end of JSON input/.test(message) || Number(position) >= length)
    return 'it ends too early';
  return position ? `an unexpected character at position ${position}` : 'an unexpected character';
}
