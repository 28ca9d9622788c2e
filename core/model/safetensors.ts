/** @file Reads and writes safetensors files. Source: the format's description in huggingface/safetensors. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { littleEndian, storage, unpack } from './blocks.ts';
import { openForReading } from './gguf.ts';
import { elementCount } from './tensor.ts';
import type { Tensor } from './tensor.ts';

const LONGEST_HEADER = 100_000_000;

export type SafetensorsFormat = 'F32' | 'F16' | 'BF16';

export interface SafetensorsEntry {
  readonly shape: readonly number[];
  readonly format: SafetensorsFormat;
  /** Position in the file and length, in bytes. */
  readonly offset: number;
  readonly length: number;
}

export interface SafetensorsFile {
  readonly path: string;
  /** In the order of the data. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readFloat32(entry: SafetensorsEntry): Float32Array;
  close(): void;
}

const headerEntry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()).max(8),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());
const metadataSchema = z.record(z.string(), z.string());

const isReadable = (format: string): format is SafetensorsFormat => ['F32', 'F16', 'BF16'].includes(format);

/**
 * Opens a file and checks its whole table against its size; the data stays on disk.
 * @throws TributaryError `model.not-found`, `model.not-a-model`, `model.cut-short`, `model.damaged`,
 * `model.unsupported-tensor-type`
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openForReading(path);
  try {
    const { entries, metadata } = readHeader(path, file);
    return {
      path,
      entries,
      metadata,
      readFloat32: ({ offset, length, shape, format }) => {
        const [bytes, columns] = [file.read(offset, length), elementCount(shape)];
        if (format === 'F32' && littleEndian) return new Float32Array(bytes.buffer, 0, columns); // nobody else's memory
        return unpack(format, { bytes, rows: 1, columns, rowOrder: () => 0 });
      },
      close: file.close,
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

interface Header {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The header read last: the adapters of a run are alike, and checking a header takes longer than reading it. */
let lastHeader: { readonly size: number; readonly text: string; readonly header: Header } | null = null;
/** A longer one is not worth the memory. */
const LONGEST_KEPT_HEADER = 2 ** 20;

function readHeader(path: string, file: ReturnType<typeof openForReading>): Header {
  const damaged = (what: string, cause?: unknown) =>
    new TributaryError('model.damaged', `${path}: ${what}.`, { cause });
  if (file.size < 10) throw new TributaryError('model.not-a-model', `${path} is not a safetensors file.`);
  const headerLength = file.read(0, 8).readBigUInt64LE();
  if (headerLength > LONGEST_HEADER || headerLength < 2n) {
    throw new TributaryError('model.not-a-model', `${path} is not a safetensors file.`);
  }
  const start = 8 + Number(headerLength);
  const text = file.read(8, start - 8).toString('utf8');
  if (lastHeader?.size === file.size && lastHeader.text === text) return lastHeader.header;
  if (!text.startsWith('{'))
    throw new TributaryError('model.not-a-model', `${path} is not a safetensors file.`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged('the header is not JSON', cause);
  }
  const parsedHeader = headerSchema.safeParse(json);
  if (!parsedHeader.success) throw damaged('the header is not a table of tensors');
  const { __metadata__: extra = {}, ...rest } = parsedHeader.data;
  const metadata = metadataSchema.safeParse(extra);
  if (!metadata.success) throw damaged('__metadata__ holds something other than texts');
  const entries: [string, SafetensorsEntry][] = [];
  for (const [name, value] of Object.entries(rest)) {
    const parsed = headerEntry.safeParse(value);
    if (!parsed.success) throw damaged(`the entry ${name} is not a tensor`);
    const { dtype: format, shape, data_offsets: [from, to] } = parsed.data; // prettier-ignore
    if (!isReadable(format)) {
      throw new TributaryError('model.unsupported-tensor-type', `${path}: the tensor ${name} is ${format}.`);
    }
    if (to - from !== elementCount(shape) * storage[format].bytes) {
      throw damaged(`${name} has the shape ${shape.join(' × ')} in ${format} but ${to - from} bytes`);
    }
    if (start + to > file.size) {
      const end = `its tensor ${name} ends at ${start + to}`;
      throw new TributaryError('model.cut-short', `${path} ends after ${file.size} bytes, but ${end}.`);
    }
    entries.push([name, { shape, format, offset: start + from, length: to - from }]);
  }
  // An empty tensor comes before the one that begins at the same place.
  entries.sort(([, left], [, right]) => left.offset - right.offset || left.length - right.length);
  let end = start;
  for (const [index, [name, { offset, length }]] of entries.entries()) {
    if (offset < end) throw damaged(`${entries[index - 1][0]} and ${name} overlap`);
    if (offset > end) throw damaged(`${offset - end} bytes before ${name} belong to no tensor`);
    end = offset + length;
  }
  if (end < file.size) throw damaged(`its last ${file.size - end} bytes belong to no tensor`);
  const header = { entries: new Map(entries), metadata: metadata.data };
  if (text.length <= LONGEST_KEPT_HEADER) lastHeader = { size: file.size, text, header };
  return header;
}

/** Reads all tensors of a file into memory. @throws as `openSafetensors` */
export function readSafetensors(path: string): Map<string, Tensor> {
  const file = openSafetensors(path);
  try {
    const tensors = new Map<string, Tensor>();
    for (const [name, entry] of file.entries)
      tensors.set(name, { shape: entry.shape, data: file.readFloat32(entry) });
    return tensors;
  } finally {
    file.close();
  }
}

/** Tensors whose element type a file of safetensors can be written in. */
type FloatTensors = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly data: Float32Array | Float64Array }
>;

/** A tensor of a file's table; `length` in bytes. */
export interface HeaderRow {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly length: number;
}

/** Length and table at the beginning of a file; padded with blanks so that the data is aligned to 8 bytes. */
export function encodeHeader(
  rows: Iterable<HeaderRow>,
  metadata: Readonly<Record<string, string>> | null = { format: 'pt' },
): Buffer {
  const header: Record<string, unknown> = metadata === null ? {} : { __metadata__: metadata };
  let end = 0;
  for (const { name, dtype, shape, length } of rows) {
    header[name] = { dtype, shape, data_offsets: [end, end + length] };
    end += length;
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text]);
}

/** The table of tensors that lie one after the other. */
export function headerOf(tensors: FloatTensors, metadata?: Readonly<Record<string, string>> | null): Buffer {
  const rows = [...tensors].map(([name, { shape, data }]) => {
    const dtype = data instanceof Float64Array ? 'F64' : 'F32';
    return { name, dtype, shape, length: data.byteLength };
  });
  return encodeHeader(rows, metadata);
}

/** The bytes of a file of tensors in the order of the map; the same tensors always give the same bytes. */
export function encodeSafetensors(
  tensors: FloatTensors,
  metadata?: Readonly<Record<string, string>> | null,
): Buffer {
  const header = headerOf(tensors, metadata);
  const length = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, header.length);
  const bytes = Buffer.allocUnsafeSlow(length);
  bytes.set(header);
  let at = header.length;
  for (const { data } of tensors.values()) {
    bytes.set(littleEndianBytes(data), at);
    at += data.byteLength;
  }
  return bytes;
}

/** The numbers as they lie in a file: the memory itself where the machine keeps them so. */
export function littleEndianBytes(data: Float32Array | Float64Array): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (littleEndian) return bytes;
  const turned = Buffer.from(bytes);
  return data instanceof Float64Array ? turned.swap64() : turned.swap32();
}
