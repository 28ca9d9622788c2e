/** @file Reads the header of a GGUF file: metadata and the table of tensors. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { TributaryError } from '../errors.ts';
import { elementCount } from './tensor.ts';

export type GgufValue = number | string | boolean | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** Row-major, i.e. GGUF's own order reversed: [rows, columns]. */
  readonly shape: readonly number[];
  /** ggml's type number. */
  readonly type: number;
  /** Position in the file, in bytes. */
  readonly offset: number;
}

export interface Gguf {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Where each entry of the metadata lies in the file, its key included, in bytes. */
  readonly entries: ReadonlyMap<string, { readonly start: number; readonly end: number }>;
  /** Where the metadata ends and the table of tensors begins, in bytes. */
  readonly metadataEnd: number;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Reads `length` bytes from `offset`. @throws TributaryError `model.cut-short` */
  read(offset: number, length: number): Buffer;
  close(): void;
}

const MAGIC = 'GGUF';
/** A header of a model is a few megabytes (the vocabulary); a hostile one must not fill the memory. */
const LONGEST_HEADER = 256 * 2 ** 20;
/** Entries of all arrays and tables together. */
const MOST_ENTRIES = 2 ** 23;
const DEEPEST_ARRAY = 4;
const MOST_DIMENSIONS = 4;
const WINDOW = 2 ** 20;

/** Opens a file for positioned reads. @throws TributaryError `model.not-found`, `model.not-a-model` */
export function openForReading(path: string): Pick<Gguf, 'size' | 'read' | 'close'> {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    throw new TributaryError('model.not-found', `The model file ${path} cannot be opened.`, { cause });
  }
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    closeSync(descriptor);
    throw new TributaryError('model.not-a-model', `${path} is not a file.`);
  }
  const read = (offset: number, length: number): Buffer => {
    const buffer = offset + length <= status.size ? Buffer.allocUnsafeSlow(length) : null;
    let filled = 0;
    while (buffer !== null && filled < length) {
      const count = readSync(descriptor, buffer, filled, length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    if (buffer === null || filled < length) {
      const wanted = `${length} bytes at ${offset}`;
      throw new TributaryError(
        'model.cut-short',
        `${path} ends after ${status.size} bytes; it needs ${wanted}.`,
      );
    }
    return buffer;
  };
  let open = true;
  const close = (): void => {
    if (open) closeSync(descriptor);
    open = false;
  };
  return { size: status.size, read, close };
}

/**
 * Reads the header of a GGUF file (versions 2 and 3, little-endian) and leaves the tensors on disk.
 * Source: the GGUF specification of the ggml project.
 * @throws TributaryError `model.not-found`, `model.not-a-model`, `model.cut-short`, `model.damaged`
 */
export function openGguf(path: string): Gguf {
  const file = openForReading(path);
  try {
    const header = readHeader(path, file);
    return { path, ...header, ...file };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The header of a GGUF file that lies in memory, such as a tokenizer on its own. @throws as {@link openGguf} */
export function ggufInMemory(path: string, bytes: Uint8Array): Gguf {
  const file: Pick<Gguf, 'size' | 'read' | 'close'> = {
    size: bytes.length,
    read: (offset, length) => {
      if (offset + length > bytes.length) {
        throw new TributaryError('model.cut-short', `${path} ends after ${bytes.length} bytes.`);
      }
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
    close: () => undefined,
  };
  return { path, ...readHeader(path, file), ...file };
}

function readHeader(path: string, file: Pick<Gguf, 'size' | 'read'>) {
  const damaged = (what: string) => new TributaryError('model.damaged', `${path}: ${what}.`);
  if (file.size < 4 || file.read(0, 4).toString('latin1') !== MAGIC) {
    throw new TributaryError('model.not-a-model', `${path} is not a GGUF file.`);
  }
  const cursor = createCursor(path, file);
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    const order = version >>> 16 !== 0 ? ' (big-endian?)' : '';
    throw new TributaryError(
      'model.not-a-model',
      `${path} is GGUF version ${version}${order}; 2 and 3 are known.`,
    );
  }
  const tensorCount = cursor.count(24);
  const metadataCount = cursor.count(13);
  const metadata = new Map<string, GgufValue>();
  const entries = new Map<string, { start: number; end: number }>();
  for (let index = 0; index < metadataCount; index++) {
    const start = cursor.position();
    const key = cursor.string();
    if (metadata.has(key)) throw damaged(`the metadata key ${key} appears twice`);
    metadata.set(key, readValue(cursor, cursor.uint32(), 0));
    entries.set(key, { start, end: cursor.position() });
  }
  const metadataEnd = cursor.position();
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || alignment < 8 || alignment > 2 ** 20 || alignment % 8 !== 0) {
    throw damaged('general.alignment is not a positive multiple of 8');
  }
  const relative = new Map<string, GgufTensor>();
  for (let index = 0; index < tensorCount; index++) {
    const tensor = readTensor(cursor, damaged);
    if (relative.has(tensor.name)) throw damaged(`the tensor ${tensor.name} appears twice`);
    if (tensor.offset % alignment !== 0) throw damaged(`the tensor ${tensor.name} is not aligned`);
    relative.set(tensor.name, tensor);
  }
  const start = Math.ceil(cursor.position() / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, tensor] of relative) tensors.set(name, { ...tensor, offset: start + tensor.offset });
  return { version, metadata, entries, metadataEnd, tensors };
}

function readTensor(cursor: Cursor, damaged: (what: string) => Error): GgufTensor {
  const name = cursor.string();
  const dimensions = cursor.uint32();
  if (dimensions > MOST_DIMENSIONS) throw damaged(`the tensor ${name} has ${dimensions} dimensions`);
  const shape = Array.from({ length: dimensions }, () => cursor.size()).reverse();
  if (!Number.isSafeInteger(elementCount(shape)) || shape.includes(0)) {
    throw damaged(`the tensor ${name} has the shape ${shape.join(' × ')}`);
  }
  const type = cursor.uint32();
  return { name, shape, type, offset: cursor.size() };
}

interface Cursor {
  position(): number;
  bytes(length: number): Buffer;
  uint32(): number;
  /** An unsigned 64-bit integer that must be exact as a number. */
  size(): number;
  /** A number of things of at least `smallest` bytes each, checked against what is left of the file. */
  count(smallest: number): number;
  string(): string;
}

/** Reads forward from byte 4 through a window, so that the vocabulary is not fetched string by string. */
function createCursor(path: string, file: Pick<Gguf, 'size' | 'read'>): Cursor {
  let position = 4;
  let window: Buffer = Buffer.alloc(0);
  let windowStart = 0;
  let entries = 0;

  /** Where the next bytes begin in the window; the cursor moves behind them. */
  const take = (length: number): number => {
    if (position + length > LONGEST_HEADER) {
      throw new TributaryError(
        'model.damaged',
        `${path}: the header is longer than ${LONGEST_HEADER} bytes.`,
      );
    }
    if (position < windowStart || position + length > windowStart + window.length) {
      const wanted = Math.max(length, Math.min(WINDOW, file.size - position));
      window = file.read(position, wanted);
      windowStart = position;
    }
    const start = position - windowStart;
    position += length;
    return start;
  };
  const bytes = (length: number): Buffer => {
    const start = take(length);
    return window.subarray(start, start + length);
  };
  const size = (): number => {
    const start = take(8);
    const value = window.readUInt32LE(start) + 2 ** 32 * window.readUInt32LE(start + 4);
    if (value > Number.MAX_SAFE_INTEGER) {
      const found = window.readBigUInt64LE(start);
      throw new TributaryError(
        'model.damaged',
        `${path}: the size ${found} at byte ${position - 8} is too large.`,
      );
    }
    return value;
  };
  const count = (smallest: number): number => {
    const value = size();
    if (value * smallest > file.size - position) {
      const need = `${value} entries at byte ${position}`;
      throw new TributaryError(
        'model.cut-short',
        `${path} ends after ${file.size} bytes, before its ${need}.`,
      );
    }
    entries += value;
    if (entries > MOST_ENTRIES) {
      throw new TributaryError(
        'model.damaged',
        `${path}: ${value} entries at byte ${position} are too many.`,
      );
    }
    return value;
  };
  return {
    position: () => position,
    bytes,
    uint32: () => bytes(4).readUInt32LE(),
    size,
    count,
    string: () => {
      const length = size();
      if (length > file.size - position) {
        const need = `text of ${length} bytes at byte ${position}`;
        throw new TributaryError(
          'model.cut-short',
          `${path} ends after ${file.size} bytes, before the end of a ${need}.`,
        );
      }
      const start = take(length);
      return window.toString('utf8', start, start + length);
    },
  };
}

/** Size in bytes of a value, and what reads it at a place. */
type Scalar = readonly [size: number, read: (bytes: Buffer, at: number) => number | boolean];

/** GGUF's fixed-size values by type number. 64-bit integers are rounded to a number. */
const scalars: Readonly<Record<number, Scalar>> = {
  0: [1, (bytes, at) => bytes.readUInt8(at)],
  1: [1, (bytes, at) => bytes.readInt8(at)],
  2: [2, (bytes, at) => bytes.readUInt16LE(at)],
  3: [2, (bytes, at) => bytes.readInt16LE(at)],
  4: [4, (bytes, at) => bytes.readUInt32LE(at)],
  5: [4, (bytes, at) => bytes.readInt32LE(at)],
  6: [4, (bytes, at) => bytes.readFloatLE(at)],
  7: [1, (bytes, at) => bytes.readUInt8(at) !== 0],
  10: [8, (bytes, at) => Number(bytes.readBigUInt64LE(at))],
  11: [8, (bytes, at) => Number(bytes.readBigInt64LE(at))],
  12: [8, (bytes, at) => bytes.readDoubleLE(at)],
};
const STRING = 8;
const ARRAY = 9;

function readValue(cursor: Cursor, type: number, depth: number): GgufValue {
  if (type === STRING) return cursor.string();
  if (type === ARRAY) {
    if (depth === DEEPEST_ARRAY)
      throw new TributaryError('model.damaged', 'The metadata nests arrays too deeply.');
    const inner = cursor.uint32();
    const length = cursor.count(inner === STRING ? 8 : inner === ARRAY ? 12 : (scalars[inner]?.[0] ?? 1));
    if (Object.hasOwn(scalars, inner)) {
      const [size, read] = scalars[inner];
      const all = cursor.bytes(length * size);
      return Array.from({ length }, (_, index) => read(all, index * size));
    }
    const values: GgufValue[] = [];
    for (let index = 0; index < length; index++) values.push(readValue(cursor, inner, depth + 1));
    return values;
  }
  if (!Object.hasOwn(scalars, type)) {
    throw new TributaryError('model.damaged', `The metadata has a value of the unknown type ${type}.`);
  }
  const [size, read] = scalars[type];
  return read(cursor.bytes(size), 0);
}
