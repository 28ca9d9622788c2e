/**
 * @file Files of encoded tensors, in safetensors' layout: a header in JSON, then the data in the order of the header
 * without gaps. What another party sent is believed in nothing: the whole table is checked against the file's size
 * before any of it is used, and tensors are read one at a time.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import type { TributaryError } from '../errors.ts';
import { elementCount } from '../model/tensor.ts';
import { blockCount, NUMBER_FORMATS } from './number-formats.ts';
import type { Codec } from './number-formats.ts';

/** A header has some hundred bytes a tensor; a hostile one must not fill the memory. */
const LONGEST_HEADER = 16 * 2 ** 20;
const SCALE = '#scale';
const SIZES = { F32: 4, BF16: 2, I8: 1 } as const;

/** A tensor to be written in a number format. */
export interface PlainTensor {
  readonly shape: readonly number[];
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
  readonly entries: ReadonlyMap<string, { readonly shape: readonly number[]; readonly codec: Codec }>;
  /** The tensor's numbers. Throws what `damaged` makes of a file that has changed. */
  readonly read: (name: string) => Float32Array;
  readonly close: () => void;
}

/** The bytes of a file. The same tensors in the same order always give the same bytes. */
export function encodeTensorFile(codec: Codec, tensors: ReadonlyMap<string, PlainTensor>): Buffer {
  const format = NUMBER_FORMATS[codec];
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const parts: Uint8Array[] = [];
  let end = 0;
  const add = (name: string, dtype: Entry['dtype'], shape: readonly number[], bytes: Uint8Array): void => {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
    parts.push(bytes);
  };
  // Scales first, so that they and numbers of four bytes lie where such numbers may.
  const encoded = [...tensors].map(([name, { shape, data }]) => [name, shape, format.encode(data)] as const);
  for (const [name, , { scales }] of encoded) {
    if (scales !== null) add(`${name}${SCALE}`, 'F32', [scales.length], bytesOf(scales));
  }
  for (const [name, shape, { bytes }] of encoded) add(name, format.dtype, shape, bytes);
  const json = JSON.stringify(header);
  const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Opens a file of encoded tensors.
 * @param damaged the error for a file that is none, of what is wrong with it
 */
export function openTensorFile(path: string, damaged: (what: string) => TributaryError): TensorFile {
  const descriptor = openSync(path, 'r');
  const readBytes = (offset: number, length: number): Buffer => {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const count = readSync(descriptor, buffer, filled, length - filled, offset + filled);
      if (count === 0) throw damaged(`it ends before byte ${offset + length}`);
      filled += count;
    }
    return buffer;
  };
  try {
    const { size } = fstatSync(descriptor);
    const { start, table } = readTable(size, readBytes, damaged);
    const bytesAt = (name: string): Buffer => {
      const entry = table.get(name);
      if (entry === undefined) throw new TypeError(`There is no tensor ${name}.`);
      const [from, to] = entry.data_offsets;
      return readBytes(start + from, to - from);
    };
    const entries = describe(table, damaged);
    return {
      entries,
      read: (name) => {
        const format = NUMBER_FORMATS[entries.get(name)?.codec ?? 'f32'];
        const bytes = bytesAt(name);
        const scales = format.hasScales
          ? NUMBER_FORMATS.f32.decode({ bytes: bytesAt(`${name}${SCALE}`), scales: null })
          : null;
        return format.decode({ bytes, scales });
      },
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function readTable(
  size: number,
  readBytes: (offset: number, length: number) => Buffer,
  damaged: (what: string) => TributaryError,
): { start: number; table: ReadonlyMap<string, Entry> } {
  if (size < 10) throw damaged('it is too short for a header');
  const headerLength = readBytes(0, 8).readBigUInt64LE();
  if (headerLength < 2n || headerLength > LONGEST_HEADER || Number(headerLength) > size - 8) {
    throw damaged(`its header would have ${headerLength} bytes`);
  }
  const start = 8 + Number(headerLength);
  let json: unknown;
  try {
    json = JSON.parse(readBytes(8, start - 8).toString('utf8'));
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
  return { start, table };
}

const order = ({ data_offsets: [from] }: Entry): number => from;
const last = ({ data_offsets: [, to] }: Entry): number => to;

/** The tensors without their scales, which have to be there and to fit. */
function describe(table: ReadonlyMap<string, Entry>, damaged: (what: string) => TributaryError) {
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
