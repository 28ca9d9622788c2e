/** @file JSON Lines: one object a line, the lines cut at `\n` only. */

import type { Batch, BrokenRecord, SourceRecord } from './source.ts';
import { isObject, MAXIMUM_ROW_BYTES } from './source.ts';

const NEWLINE = 0x0a;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Every line's object, or what is wrong with the line. Blank lines are passed over. Lines are UTF-8. */
export async function* readJsonLineBatches(
  pieces: AsyncIterable<{ readonly text: Buffer; readonly bytes: number }>,
): AsyncGenerator<Batch> {
  let line = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const hold = (part: Buffer): void => {
    heldBytes += part.length;
    if (heldBytes > MAXIMUM_ROW_BYTES) held = [];
    else if (part.length > 0) held.push(part);
  };
  const finish = (): SourceRecord | BrokenRecord | null => {
    line++;
    const tooLong = heldBytes > MAXIMUM_ROW_BYTES;
    const whole = held.length === 1 ? held[0] : Buffer.concat(held);
    held = [];
    heldBytes = 0;
    if (!tooLong) return parseLine(line, whole);
    return { number: line, code: 'data.row-too-long', problem: `is longer than ${MAXIMUM_ROW_BYTES} bytes` };
  };
  let read = 0;
  for await (const { text, bytes } of pieces) {
    const records: (SourceRecord | BrokenRecord)[] = [];
    let start = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      hold(text.subarray(start, end));
      const record = finish();
      if (record !== null) records.push(record);
      start = end + 1;
    }
    hold(text.subarray(start));
    read = bytes;
    yield { records, bytes };
  }
  const last = heldBytes > 0 ? finish() : null;
  if (last !== null) yield { records: [last], bytes: read };
}

function parseLine(number: number, bytes: Buffer): SourceRecord | BrokenRecord | null {
  let text: string;
  try {
    // A byte-order mark at the start is dropped by the decoder.
    text = utf8.decode(bytes);
  } catch {
    return { number, code: 'data.broken-line', problem: 'is not UTF-8' };
  }
  if (text.trim() === '') return null;
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return { number, record: value };
    return { number, code: 'data.broken-line', problem: 'is not a JSON object' };
  } catch (error) {
    const where = describeParseError(error, text.trimEnd().length);
    return { number, code: 'data.broken-line', problem: `is not JSON (${where})` };
  }
}

/** V8's message quotes the text around the fault; a row has no place in a log, so only the position is kept. */
export function describeParseError(error: unknown, length: number): string {
  const message = error instanceof Error ? error.message : '';
  const position = /at position (\d+)/.exec(message)?.[1];
  if (/^Unterminated|end of JSON input/.test(message) || Number(position) >= length)
    return 'it ends too early';
  return position ? `an unexpected character at position ${position}` : 'an unexpected character';
}
