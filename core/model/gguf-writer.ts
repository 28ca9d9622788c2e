/**
 * @file Writes GGUF files (version 3, little-endian): metadata, the table of tensors, then their values.
 * Source: the GGUF specification of the ggml project.
 */

import type { Gguf } from './gguf.ts';
import { packedLength } from './pack.ts';
import type { PackedFormat } from './pack.ts';
import { elementCount } from './tensor.ts';

const VERSION = 3;
const ALIGNMENT = 32;
/** Type numbers of metadata values. */
const [UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY] = [4, 5, 6, 7, 8, 9];
/** ggml's type numbers of the formats that are written. */
const FORMATS: Readonly<Record<PackedFormat, number>> = { F32: 0, Q8_0: 8, BF16: 30 };

/** Collects the metadata of a file. A key is written once. */
export class GgufMetadata {
  readonly #entries = new Map<string, Buffer>();

  /** What another file holds, byte for byte. Its alignment is not taken over: the writer has its own. */
  static of(gguf: Gguf): GgufMetadata {
    const copy = new GgufMetadata();
    for (const [key, { start, end }] of gguf.entries) {
      if (key !== 'general.alignment') copy.#entries.set(key, gguf.read(start, end - start));
    }
    return copy;
  }

  uint32(key: string, value: number): this {
    return this.#set(key, UINT32, uint32(value));
  }

  float32(key: string, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#set(key, FLOAT32, bytes);
  }

  boolean(key: string, value: boolean): this {
    return this.#set(key, BOOL, Buffer.of(Number(value)));
  }

  string(key: string, value: string): this {
    return this.#set(key, STRING, text(value));
  }

  strings(key: string, values: readonly string[]): this {
    return this.#array(key, STRING, values.map(text));
  }

  integers(key: string, values: readonly number[]): this {
    return this.#array(key, INT32, values.map(uint32));
  }

  get size(): number {
    return this.#entries.size;
  }

  bytes(): Buffer {
    return Buffer.concat([...this.#entries.values()]);
  }

  #array(key: string, type: number, items: readonly Buffer[]): this {
    return this.#set(key, ARRAY, Buffer.concat([uint32(type), uint64(items.length), ...items]));
  }

  #set(key: string, type: number, value: Buffer): this {
    this.#entries.set(key, Buffer.concat([text(key), uint32(type), value]));
    return this;
  }
}

export interface GgufPart {
  readonly name: string;
  /** Row-major; a row fills whole blocks of the format. */
  readonly shape: readonly number[];
  readonly format: PackedFormat;
  /** The packed values, made when they are written. */
  readonly bytes: () => Uint8Array;
}

/** The bytes of a file, a part at a time: never more than one tensor is in memory. */
export function* ggufFile(metadata: GgufMetadata, tensors: readonly GgufPart[]): Generator<Uint8Array> {
  const table: Buffer[] = [];
  let offset = 0;
  for (const { name, shape, format } of tensors) {
    const dimensions = [...shape].reverse().map(uint64);
    table.push(text(name), uint32(shape.length), ...dimensions, uint32(FORMATS[format]), uint64(offset));
    offset += aligned(packedLength(format, elementCount(shape)));
  }
  const counts = [uint32(VERSION), uint64(tensors.length), uint64(metadata.size)];
  yield padded(Buffer.concat([Buffer.from('GGUF'), ...counts, metadata.bytes(), ...table]));
  for (const { bytes } of tensors) yield padded(bytes());
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = aligned(bytes.length) - bytes.length;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([uint64(bytes.length), bytes]);
}
