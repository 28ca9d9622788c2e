/** @file Tensors as bytes: float32 safetensors on the wire, float64 safetensors for the hub's own state. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { encodeSafetensors, littleEndianBytes, openSafetensors } from '../model/safetensors.ts';
import { elementCount } from '../model/tensor.ts';
import type { NamedTensors, Tensor } from '../model/tensor.ts';
import type { Shapes } from './update.ts';

/** A blob of the codec `f32`. The same tensors in the same order always give the same bytes. */
export function encodeTensors(tensors: NamedTensors): Uint8Array {
  return encodeSafetensors(tensors);
}

/** The shapes of a blob without its values. Throws as `openSafetensors` does. */
export function readShapes(path: string): Shapes {
  const file = openSafetensors(path);
  file.close();
  return file.entries;
}

/** Reads a blob of the codec `f32` that this program wrote. Throws as `readSafetensors` does. */
export function readTensors(path: string): NamedTensors {
  const opened = openTensors(path);
  const all = new Map([...opened.tensors].map(([name, { shape, data }]) => [name, { shape, data }]));
  opened.close();
  return all;
}

/**
 * Opens a blob of the codec `f32` whose tensors are read when they are asked for; the last one stays at hand. Throws as
 * `openSafetensors` does.
 */
export function openTensors(path: string): { readonly tensors: NamedTensors; readonly close: () => void } {
  const file = openSafetensors(path);
  let last: { readonly name: string; readonly data: Float32Array } | null = null;
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of file.entries) {
    tensors.set(name, {
      shape: entry.shape,
      get data() {
        if (last?.name !== name) last = { name, data: file.readFloat32(entry) };
        return last.data;
      },
    });
  }
  return { tensors, close: () => file.close() };
}

const stateHeader = z.record(
  z.string(),
  z.strictObject({
    dtype: z.enum(['F64', 'F32']),
    shape: z.array(z.int().min(0)).max(8),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  }),
);

/** A file of the hub's own tensors, which are read when they are asked for. */
export interface StateFile {
  readonly has: (name: string) => boolean;
  /** In float64. Throws `state.damaged`, also for a tensor that is not there. */
  readonly read: (name: string) => Float64Array;
  /** In float32, in which the file has it. Throws like `read`. */
  readonly readFloat32: (name: string) => Float32Array;
  readonly close: () => void;
}

/** Opens a file that the hub wrote. Throws TributaryError `state.damaged`. */
export function openState(path: string): StateFile {
  const damaged = (cause?: unknown): TributaryError =>
    new TributaryError('state.damaged', 'The saved state of the run is not readable.', { cause });
  const descriptor = openSync(path, 'r');
  const fill = (bytes: Uint8Array, from: number): void => {
    for (let at = 0; at < bytes.length;) {
      const count = readSync(descriptor, bytes, at, bytes.length - at, from + at);
      if (count === 0) throw damaged();
      at += count;
    }
  };
  try {
    const { size } = fstatSync(descriptor);
    const length = Buffer.alloc(8);
    fill(length, 0);
    const start = 8 + Number(length.readBigUInt64LE());
    if (start > size) throw damaged();
    const text = Buffer.alloc(start - 8);
    fill(text, 8);
    const table = new Map(Object.entries(stateHeader.parse(JSON.parse(text.toString('utf8')))));
    const ends = [...table.values()].map(({ data_offsets: [, to] }) => start + to);
    if (Math.max(start, ...ends) !== size) throw damaged();
    const read = (name: string): Float64Array | Float32Array => {
      const entry = table.get(name);
      if (entry === undefined) throw damaged();
      const [from, to] = entry.data_offsets;
      const count = elementCount(entry.shape);
      const data = entry.dtype === 'F64' ? new Float64Array(count) : new Float32Array(count);
      if (to - from !== data.byteLength) throw damaged();
      const bytes = new Uint8Array(data.buffer);
      fill(bytes, start + from);
      bytes.set(littleEndianBytes(data));
      return data;
    };
    return {
      has: (name) => table.has(name),
      read: (name) => {
        const data = read(name);
        return data instanceof Float64Array ? data : new Float64Array(data);
      },
      readFloat32: (name) => {
        const data = read(name);
        if (data instanceof Float64Array) throw damaged();
        return data;
      },
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error instanceof TributaryError ? error : damaged(error);
  }
}
