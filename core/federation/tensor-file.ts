/**
 * @file Files of encoded tensors, in safetensors' layout: a header in JSON, then the data in the order of the header
 * without gaps. What another party sent is believed in nothing: the whole table is checked against the file's size
 * before any of it is used, and tensors are read one at a time.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import type { TributaryError } from '../errors.ts';
import { encodeHeader } from '../model/safetensors.ts';
import type { HeaderRow } from '../model/safetensors.ts';
import { elementCount } from '../model/tensor.ts';
import { blockCount, decodeNumbers, NUMBER_FORMATS } from './number-formats.ts';
import type { Codec, EncodedNumbers } from './number-formats.ts';

/** A header has some hundred bytes a tensor; a hostile one must not fill the memory. */
const LONGEST_HEADER = 16 * 2 ** 20;
const SCALE = '#scale';
const READ_AHEAD = 16_384;
const SIZES = { F32: 4, BF16: 2, I8: 1 } as const;

interface Shaped {
  readonly shape: readonly number[];
}
/** A tensor to be written in a number format. */
export interface PlainTensor extends Shaped {
  readonly data: Float32Array;
}

const entryShape = z.strictObject({
  dtype: z.enum(['F32', 'BF16', 'I8']),
  shape: z.array(z.int().min(0)).max(8),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
const headerShape = z
  .looseObject({ __metadata__: z.record(z.string(), z.string()).optional() })
  .transform((header) =>
    Object.fromEntries(Object.entries(header).filter(([name]) => name !== '__metadata__')),
  )
  .pipe(z.record(z.string(), entryShape));
type Entry = z.infer<typeof entryShape>;

export interface TensorFile {
  /** Names and shapes in the order of the data, without the scales. */
  readonly entries: TensorEntries;
  /** The tensor's numbers. Throws what `damaged` makes of a file that has changed. */
  readonly read: (name: string) => Float32Array;
  /** The tensor as it lies in the file, until the next one is asked for. Throws like `read`. */
  readonly readEncoded: (name: string) => EncodedNumbers;
  /** Its scales alone, where its format has them. */
  readonly readScales: (name: string) => Float32Array | null;
  readonly close: () => void;
}

export type TensorEntries = ReadonlyMap<string, { readonly shape: readonly number[]; readonly codec: Codec }>;

/** A file in the making: its header is written, its tensors are to be encoded into their places. */
export interface TensorFileDraft {
  readonly bytes: Buffer;
  readonly place: (name: string) => EncodedNumbers;
}

/** Where everything lies in a file of these tensors. */
function layOut(codec: Codec, shapes: Iterable<readonly [string, Shaped]>) {
  const format = NUMBER_FORMATS[codec];
  const rows: HeaderRow[] = [];
  // Scales first, so that they and numbers of four bytes lie where such numbers may.
  const scales: HeaderRow[] = [];
  for (const [name, { shape }] of shapes) {
    const count = elementCount(shape);
    rows.push({ name, dtype: format.dtype, shape, length: count * format.bytesPerNumber });
    if (!format.hasScales) continue;
    const blocks = blockCount(count);
    scales.push({ name: `${name}${SCALE}`, dtype: 'F32', shape: [blocks], length: 4 * blocks });
  }
  const header = encodeHeader([...scales, ...rows]);
  const starts = new Map<string, { start: number; length: number }>();
  let end = header.length;
  for (const { name, length } of [...scales, ...rows]) {
    starts.set(name, { start: end, length });
    end += length;
  }
  return { header, starts, end };
}

/** Bytes of a file of these tensors. */
export function tensorFileSize(codec: Codec, shapes: Iterable<readonly [string, Shaped]>): number {
  return layOut(codec, shapes).end;
}

/** Makes room for the tensors of a file. The same tensors in the same order always give the same bytes. */
export function draftTensorFile(codec: Codec, shapes: Iterable<readonly [string, Shaped]>): TensorFileDraft {
  const { header, starts, end } = layOut(codec, shapes);
  const bytes = Buffer.allocUnsafeSlow(end);
  bytes.set(header);
  const partOf = (name: string): Uint8Array => {
    const { start, length } = starts.get(name) ?? missing(name);
    return new Uint8Array(bytes.buffer, start, length);
  };
  const { hasScales } = NUMBER_FORMATS[codec];
  return {
    bytes,
    place: (name) => {
      const part = hasScales ? partOf(`${name}${SCALE}`) : null;
      return {
        bytes: partOf(name),
        scales: part && new Float32Array(part.buffer, part.byteOffset, part.length / 4),
      };
    },
  };
}

/** The bytes of a file. */
export function encodeTensorFile(codec: Codec, tensors: ReadonlyMap<string, PlainTensor>): Buffer {
  const { bytes, place } = draftTensorFile(codec, tensors);
  for (const [name, { data }] of tensors) NUMBER_FORMATS[codec].encodeInto(data, place(name));
  return bytes;
}

function missing(name: string): never {
  throw new TypeError(`There is no tensor ${name}.`);
}

/**
 * Opens a file of encoded tensors.
 * @param damaged the error for a file that is none, of what is wrong with it
 */
export function openTensorFile(path: string, damaged: (what: string) => TributaryError): TensorFile {
  const descriptor = openSync(path, 'r');
  const { size } = fstatSync(descriptor);
  const fill = <T extends Uint8Array>(buffer: T, offset: number): T => {
    for (let filled = 0; filled < buffer.length;) {
      const count = readSync(descriptor, buffer, filled, buffer.length - filled, offset + filled);
      if (count === 0) throw damaged(`it ends before byte ${offset + buffer.length}`);
      filled += count;
    }
    return buffer;
  };
  /** Scales are few and lie together: those of many tensors are read at once. */
  let ahead = { from: 0, bytes: new Uint8Array(0) };
  const fillAhead = (buffer: Uint8Array, offset: number): void => {
    if (offset < ahead.from || offset + buffer.length > ahead.from + ahead.bytes.length) {
      const length = Math.max(buffer.length, Math.min(READ_AHEAD, size - offset));
      ahead = { from: offset, bytes: fill(new Uint8Array(length), offset) };
    }
    buffer.set(ahead.bytes.subarray(offset - ahead.from, offset - ahead.from + buffer.length));
  };
  try {
    const { start, table, entries } = readTable(
      size,
      (offset, length) => fill(Buffer.allocUnsafeSlow(length), offset),
      damaged,
    );
    /** Codes and scales of one tensor at a time; both begin where floats may. */
    let scratch = new Uint8Array(0);
    const readScales = (name: string, beside = 0): Float32Array | null => {
      const [from, to] = table.get(`${name}${SCALE}`)?.data_offsets ?? [0, 0];
      if (scratch.length < to - from + beside) scratch = new Uint8Array(to - from + beside);
      if (to === from) return null;
      fillAhead(scratch.subarray(0, to - from), start + from);
      return new Float32Array(scratch.buffer, 0, (to - from) / 4);
    };
    const readEncoded = (name: string): EncodedNumbers => {
      const [from, to] = (table.get(name) ?? missing(name)).data_offsets;
      const scales = readScales(name, to - from);
      const begin = scales?.byteLength ?? 0;
      return { bytes: fill(scratch.subarray(begin, begin + to - from), start + from), scales };
    };
    return {
      entries,
      readEncoded,
      readScales: (name) => readScales(name),
      read: (name) => decodeNumbers(entries.get(name)?.codec ?? 'f32', readEncoded(name)),
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

interface Table {
  /** Where the data begins. */
  readonly start: number;
  readonly table: ReadonlyMap<string, Entry>;
  readonly entries: TensorEntries;
}

/** The table read last: the updates of a round are alike, and checking a table takes longer than reading it. */
let lastTable: { readonly size: number; readonly header: Buffer; readonly read: Table } | null = null;
/** A longer header is not worth the memory. */
const LONGEST_KEPT_HEADER = 2 ** 20;

function readTable(
  size: number,
  readBytes: (offset: number, length: number) => Buffer,
  damaged: (what: string) => TributaryError,
): Table {
  if (size < 10) throw damaged('it is too short for a header');
  const headerLength = readBytes(0, 8).readBigUInt64LE();
  if (headerLength < 2n || headerLength > LONGEST_HEADER || Number(headerLength) > size - 8) {
    throw damaged(`its header would have ${headerLength} bytes`);
  }
  const start = 8 + Number(headerLength);
  const text = readBytes(8, start - 8);
  if (lastTable?.size === size && lastTable.header.equals(text)) return lastTable.read;
  let json: unknown;
  try {
    json = JSON.parse(text.toString('utf8'));
  } catch {
    throw damaged('its header is not JSON');
  }
  const header = headerShape.safeParse(json);
  if (!header.success) throw damaged(`its header holds what is no tensor of a known type`);
  const table = new Map(
    Object.entries(header.data).sort(([, a], [, b]) => order(a) - order(b) || last(a) - last(b)),
  );
  let end = 0;
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of table) {
    if (from !== end) throw damaged(`the tensor ${shorten(name)} begins at ${from}, not at ${end}`);
    if (to - from !== elementCount(shape) * SIZES[dtype]) {
      throw damaged(`the tensor ${shorten(name)} of ${shape.join(' × ')} ${dtype} has ${to - from} bytes`);
    }
    end = to;
  }
  if (start + end !== size) throw damaged(`it has ${size} bytes, its tensors end at ${start + end}`);
  const read = { start, table, entries: describe(table, damaged) };
  if (text.length <= LONGEST_KEPT_HEADER) lastTable = { size, header: text, read };
  return read;
}

const order = ({ data_offsets: [from] }: Entry): number => from;
const last = ({ data_offsets: [, to] }: Entry): number => to;

/** The tensors without their scales, which have to be there and to fit. */
function describe(
  table: ReadonlyMap<string, Entry>,
  damaged: (what: string) => TributaryError,
): TensorEntries {
  const entries = new Map<string, { shape: readonly number[]; codec: Codec }>();
  for (const [name, { dtype, shape }] of table) {
    if (name.endsWith(SCALE)) {
      if (table.get(name.slice(0, -SCALE.length))?.dtype !== 'I8')
        throw damaged(`${shorten(name)} belongs to no tensor of codes`);
      continue;
    }
    if (dtype === 'I8') {
      const scale = table.get(`${name}${SCALE}`);
      if (scale?.dtype !== 'F32' || scale.shape.join() !== String(blockCount(elementCount(shape))))
        throw damaged(`the tensor ${shorten(name)} lacks its scales`);
    }
    entries.set(name, { shape, codec: dtype === 'I8' ? 'int8' : dtype === 'BF16' ? 'bf16' : 'f32' });
  }
  return entries;
}

/** A name from outside, short enough for a sentence. */
export function shorten(name: string): string {
  return name.length > 120 ? `${name.slice(0, 117)}…` : name;
}
