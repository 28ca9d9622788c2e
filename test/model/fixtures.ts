/** @file Small model files for tests, written independently of the readers under test. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-model-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The fetched SmolLM2 file in the user's model folder, or null: tests that need it are skipped. */
export function smollm2File(): string | null {
  const home = process.env['TRIBUTARY_HOME'] ?? join(homedir(), '.tributary');
  const path = join(home, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  return existsSync(path) ? path : null;
}

export type Metadata = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly number[]>
>;

export interface FileTensor {
  readonly name: string;
  /** GGUF's order: columns first. */
  readonly dimensions: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const uint64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);
const float32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};

function metadataValue(value: Metadata[string]): Buffer {
  if (typeof value === 'string') return Buffer.concat([uint32(8), text(value)]);
  if (typeof value === 'boolean') return Buffer.concat([uint32(7), Buffer.from([Number(value)])]);
  if (typeof value === 'number') {
    return Number.isInteger(value)
      ? Buffer.concat([uint32(4), uint32(value)])
      : Buffer.concat([uint32(6), float32(value)]);
  }
  const isText = typeof value[0] === 'string';
  const items = value.map((item) => (typeof item === 'string' ? text(item) : uint32(item)));
  return Buffer.concat([uint32(9), uint32(isText ? 8 : 4), uint64(value.length), ...items]);
}

/** The bytes of a GGUF file of version 3 with an alignment of 32. */
export function ggufBytes(metadata: Metadata, tensors: readonly FileTensor[]): Buffer {
  const parts: Buffer[] = [
    Buffer.from('GGUF'),
    uint32(3),
    uint64(tensors.length),
    uint64(Object.keys(metadata).length),
  ];
  for (const [key, value] of Object.entries(metadata)) parts.push(text(key), metadataValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(text(tensor.name), uint32(tensor.dimensions.length), ...tensor.dimensions.map(uint64));
    parts.push(uint32(tensor.type), uint64(offset));
    offset += Math.ceil(tensor.bytes.length / 32) * 32;
  }
  const header = Buffer.concat(parts);
  const padded = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);
  return Buffer.concat([padded(header), ...tensors.map((tensor) => padded(tensor.bytes))]);
}

/** Metadata of a Llama with hidden size 64, one layer, 4 heads and 2 key–value heads of size 16. */
export const llamaMetadata: Metadata = {
  'general.architecture': 'llama',
  'llama.block_count': 1,
  'llama.context_length': 128,
  'llama.embedding_length': 64,
  'llama.feed_forward_length': 96,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 2,
  'llama.attention.layer_norm_rms_epsilon': 1.5e-5,
  'llama.rope.freq_base': 10000,
};

/** An F32 tensor whose value at [row][column] is `row + column / 1000`. */
export function countingTensor(name: string, rows: number, columns: number): FileTensor {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, at) => Math.floor(at / columns) + (at % columns) / 1000,
  );
  return { name, dimensions: [columns, rows], type: 0, bytes: new Uint8Array(values.buffer) };
}
