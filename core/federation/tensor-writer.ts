/** @file Tensors written into a blob one after the other, so that they need not lie in memory together. */

import { encodeHeader, littleEndianBytes } from '../model/safetensors.ts';
import { elementCount } from '../model/tensor.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { WriteOptions } from './blob-writer.ts';
import type { BlobStore } from './blobs.ts';
import type { BlobReference } from './shapes.ts';
import type { Shapes } from './update.ts';

export interface TensorWriter {
  /** The next tensor's numbers, in the order of the shapes. They may change afterwards. */
  append(data: Float32Array | Float64Array): void;
  finish(): Promise<BlobReference>;
  abandon(): Promise<void>;
}

export interface TensorWriterOptions extends WriteOptions {
  readonly dtype: 'F32' | 'F64';
  /** Files that leave this program say PyTorch, as PEFT's do; others nothing. */
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** What a file of float32 tensors on the wire says beside its tensors. */
export const WIRE_METADATA = { format: 'pt' };

/** Begins a safetensors file of the shapes. Throws `disk.full`. */
export async function openTensorWriter(
  blobs: BlobStore,
  shapes: Shapes,
  { dtype, metadata, ...options }: TensorWriterOptions,
): Promise<TensorWriter> {
  const rows = [...shapes].map(([name, { shape }]) => {
    return { name, dtype, shape, length: elementCount(shape) * (dtype === 'F64' ? 8 : 4) };
  });
  const header = encodeHeader(rows, metadata);
  const size = rows.reduce((sum, { length }) => sum + length, header.length);
  const writer = await blobs.write(size, options);
  writer.append(header);
  return {
    append: (data) => writer.append(littleEndianBytes(data)),
    finish: () => writer.finish(),
    abandon: () => writer.abandon(),
  };
}

/** Stores tensors as a blob of the codec `f32`. Throws `disk.full`. */
export async function putTensors(
  blobs: BlobStore,
  tensors: NamedTensors,
  options?: WriteOptions,
): Promise<BlobReference> {
  const writer = await openTensorWriter(blobs, tensors, {
    dtype: 'F32',
    metadata: WIRE_METADATA,
    ...options,
  });
  try {
    for (const { data } of tensors.values()) writer.append(data);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return writer.finish();
}
