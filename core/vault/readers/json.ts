/** @file JSON: a list of objects, alone or in a field of an object, or a table by columns. Lists are streamed. */

import { TributaryError } from '../../errors.ts';
import { readPieces } from './bytes.ts';
import { describeParseError } from './json-lines.ts';
import type { Batch, BrokenRecord, ReadOptions, SourceRecord } from './source.ts';
import { isObject, MAXIMUM_ROW_BYTES } from './source.ts';

/** Tables by columns cannot be streamed: their first row is complete at the end of the file. */
const MAXIMUM_WHOLE_BYTES = 512 * 1024 * 1024;

/** How the rows lie in a file: in a list that begins behind so many bytes of its text, or only as a whole. */
export type JsonForm = { readonly kind: 'list'; readonly skip: number } | { readonly kind: 'whole' };

/** How the rows lie, told by the beginning of the text, or null where it is no such file. */
export function detectJsonForm(beginning: string): JsonForm | null {
  const start = beginning.search(/\S/);
  if (start < 0) return null;
  if (beginning[start] === '[')
    return { kind: 'list', skip: Buffer.byteLength(beginning.slice(0, start + 1)) };
  if (beginning[start] !== '{') return null;
  const list = findList(beginning, start);
  return list === null
    ? { kind: 'whole' }
    : { kind: 'list', skip: Buffer.byteLength(beginning.slice(0, list + 1)) };
}

/** Where the first list of objects in a field of the outermost object begins. */
function findList(text: string, start: number): number | null {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{' || character === '[') {
      if (depth === 1 && character === '[' && /^\s*\{/.test(text.slice(at + 1, at + 1000))) return at;
      depth++;
    } else if (character === '}' || character === ']') depth--;
  }
  return null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);

/** The elements of a list. @throws TributaryError `data.broken-file` where the list ends too early */
export async function* readListBatches(
  pieces: AsyncIterable<{ readonly text: Buffer; readonly bytes: number }>,
  { path, skip }: { path: string; skip: number },
): AsyncGenerator<Batch> {
  let number = 0;
  let depth = 0;
  let quoted = false;
  let escaped = false;
  let ended = false;
  let skipped = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const hold = (part: Buffer): void => {
    heldBytes += part.length;
    if (heldBytes > MAXIMUM_ROW_BYTES) held = [];
    else held.push(part);
  };
  const finish = (last: boolean): SourceRecord | BrokenRecord | null => {
    const tooLong = heldBytes > MAXIMUM_ROW_BYTES;
    const text = tooLong ? '' : Buffer.concat(held).toString('utf8').trim();
    held = [];
    heldBytes = 0;
    if (last && text === '' && !tooLong) return null;
    number++;
    return tooLong
      ? { number, code: 'data.row-too-long', problem: `is longer than ${MAXIMUM_ROW_BYTES} bytes` }
      : parseElement(number, text);
  };
  for await (const { text, bytes } of pieces) {
    const records: (SourceRecord | BrokenRecord)[] = [];
    if (ended) {
      yield { records, bytes };
      continue;
    }
    let start = Math.min(text.length, skip - skipped);
    skipped += start;
    for (let at = start; at < text.length && !ended; at++) {
      const byte = text[at];
      if (escaped) escaped = false;
      else if (quoted) {
        if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) quoted = false;
      } else if (byte === QUOTE) quoted = true;
      else if (OPENING.has(byte)) depth++;
      else if (CLOSING.has(byte) && --depth < 0) ended = true;
      if ((byte !== COMMA || depth > 0 || quoted) && !ended) continue;
      hold(text.subarray(start, at));
      const record = finish(ended);
      if (record !== null) records.push(record);
      start = at + 1;
    }
    if (!ended) hold(text.subarray(start));
    // What follows the list is read too, since the file's hash is of all of it.
    yield { records, bytes };
  }
  if (ended) return;
  throw new TributaryError('data.broken-file', `${path} ends before its list does.`);
}

function parseElement(number: number, text: string): SourceRecord | BrokenRecord {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return { number, record: value };
    return { number, code: 'data.broken-line', problem: 'is not a JSON object' };
  } catch (error) {
    const where = describeParseError(error, text.length);
    return { number, code: 'data.broken-line', problem: `is not JSON (${where})` };
  }
}

/**
 * The rows of a table by columns (`{"question": […], "answer": […]}`, also as pandas writes them), of objects by their
 * names (`{"17": {…}, "18": {…}}`), or one single object.
 * @throws TributaryError `data.broken-file`
 */
export async function readWholeJson(
  path: string,
  { encoding, bytes, options }: { encoding: string; bytes: number; options?: ReadOptions },
): Promise<SourceRecord[]> {
  if (bytes > MAXIMUM_WHOLE_BYTES) {
    const what = `${path} has its rows by columns and ${bytes} bytes, of which ${MAXIMUM_WHOLE_BYTES} can be read in this form.`;
    throw new TributaryError('data.broken-file', what);
  }
  const pieces: Buffer[] = [];
  for await (const piece of readPieces(path, options)) pieces.push(piece);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder(encoding, { fatal: true }).decode(Buffer.concat(pieces)));
  } catch (error) {
    if (error instanceof TypeError)
      throw new TributaryError('data.encoding', `${path} is not ${encoding}.`, { cause: error });
    if (!(error instanceof SyntaxError)) throw error;
    const where = describeParseError(error, Infinity);
    throw new TributaryError('data.broken-file', `${path} is not JSON (${where}).`);
  }
  const rows = isObject(value) ? rowsOf(value) : [];
  return rows.map((record, at) => ({ number: at + 1, record }));
}

function rowsOf(value: Record<string, unknown>): Record<string, unknown>[] {
  const columns = Object.entries(value);
  if (columns.length > 0 && columns.every(([, column]) => Array.isArray(column))) {
    const longest = Math.max(...columns.map(([, column]) => (Array.isArray(column) ? column.length : 0)));
    return Array.from({ length: longest }, (_, at) =>
      Object.fromEntries(columns.map(([name, column]) => [name, Array.isArray(column) ? column[at] : null])),
    );
  }
  const objects = columns.flatMap(([name, column]) => (isObject(column) ? [{ name, column }] : []));
  if (objects.length === 0 || objects.length < columns.length) return [value];
  // pandas: {"question": {"0": …, "1": …}, "answer": {"0": …, "1": …}}
  if (Object.keys(objects[0].column).every((key) => /^\d+$/.test(key))) {
    return Object.keys(objects[0].column).map((key) =>
      Object.fromEntries(objects.map(({ name, column }) => [name, column[key]])),
    );
  }
  return objects.map(({ name, column }) => ({ id: name, ...column }));
}
