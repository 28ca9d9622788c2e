/** @file Tensors as bytes: float32 safetensors on the wire, float64 safetensors for the hub's own state. */

import { z } from 'zod';
import { TributaryError, toTributaryError } from '../errors.ts';
import { encodeSafetensors, openSafetensors, readSafetensors } from '../model/safetensors.ts';
import type { SafetensorsFile } from '../model/safetensors.ts';
import { elementCount } from '../model/tensor.ts';
import type { NamedTensors, Tensor } from '../model/tensor.ts';
import type { StateTensor, StateTensors } from './aggregation.ts';

/** A blob of the codec `f32`. The same tensors in the same order always give the same bytes. */
export function encodeTensors(tensors: NamedTensors): Uint8Array {
  return encodeSafetensors(tensors);
}

/** Shapes of tensors by name, in the order of the adapter. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The shapes of a blob without its values. Throws as `openSafetensors` does. */
export function readShapes(path: string): Shapes {
  const file = openSafetensors(path);
  file.close();
  return file.entries;
}

/** Reads a blob of the codec `f32` that this program wrote. Throws as `readSafetensors` does. */
export function readTensors(path: string): NamedTensors {
  return readSafetensors(path);
}

/** The float32 tensors that sites receive of a state. */
export function toWire(state: StateTensors): NamedTensors {
  return new Map(
    [...state].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]),
  );
}

/** The parts of an update by name: `weights`, and what else the strategy sums. */
export type UpdateParts = Readonly<Record<string, NamedTensors>>;

/** What a tensor of a part is called in the blob of an update. PEFT's names hold no colon. */
function nameIn(part: string, tensor: string): string {
  return part === 'weights' ? tensor : `${part}:${tensor}`;
}

/** The blob of an update. An update of nothing but weights is the same bytes as `encodeTensors` gives. */
export function encodeUpdate(parts: UpdateParts): Uint8Array {
  const entries = Object.entries(parts).flatMap(([part, tensors]) =>
    [...tensors].map(([name, tensor]) => [nameIn(part, name), tensor] as const),
  );
  return encodeTensors(new Map(entries));
}

/**
 * Reads an update and holds each of its parts against the base of its round: the same tensors with the same shapes,
 * in float32, and nothing but finite numbers. Returns them in the base's order. Throws TributaryError
 * `update.damaged`, `update.tensor-mismatch` or `update.not-finite`.
 */
export function readUpdate(path: string, base: Shapes, parts: readonly string[]): UpdateParts {
  let file: SafetensorsFile | undefined;
  try {
    file = openSafetensors(path);
    return readAgainst(file, base, parts);
  } catch (thrown) {
    const error = toTributaryError(thrown);
    if (error.code.startsWith('update.') || !error.code.startsWith('model.')) throw thrown;
    const reason = error.message.replaceAll(path, 'the file');
    throw new TributaryError('update.damaged', `The update is not a complete tensor file: ${reason}`, {
      cause: error,
    });
  } finally {
    file?.close();
  }
}

function readAgainst(file: SafetensorsFile, base: Shapes, parts: readonly string[]): UpdateParts {
  const expected = new Set(parts.flatMap((part) => [...base.keys()].map((name) => nameIn(part, name))));
  for (const name of file.entries.keys()) {
    if (!expected.has(name))
      throw mismatch(`The update holds ${shorten(name)}, which the adapter of this run lacks.`);
  }
  return Object.fromEntries(parts.map((part) => [part, readPart(file, base, part)]));
}

function readPart(file: SafetensorsFile, base: Shapes, part: string): NamedTensors {
  const tensors = new Map<string, Tensor>();
  for (const [tensor, { shape }] of base) {
    const name = nameIn(part, tensor);
    const entry = file.entries.get(name);
    if (entry === undefined) throw mismatch(`The update lacks ${name}.`);
    if (entry.format !== 'F32')
      throw mismatch(`${name} is ${entry.format} in the update; the plan says f32.`);
    if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
      throw mismatch(
        `${name} is ${entry.shape.join(' × ')} in the update and ${shape.join(' × ')} in the base.`,
      );
    }
    const data = file.readFloat32(entry);
    const at = firstNotFinite(data);
    if (at >= 0) {
      throw new TributaryError(
        'update.not-finite',
        `${name} holds ${data[at]} at position ${at} in the update.`,
      );
    }
    tensors.set(tensor, { shape, data });
  }
  return tensors;
}

function mismatch(what: string): TributaryError {
  return new TributaryError('update.tensor-mismatch', what);
}

/** Position of the first NaN or infinity, or −1. A loop, because it sees every number of every update. */
function firstNotFinite(data: Float32Array): number {
  for (let index = 0; index < data.length; index++) if (!Number.isFinite(data[index])) return index;
  return -1;
}

function shorten(name: string): string {
  return name.length > 120 ? `${name.slice(0, 117)}…` : name;
}

const stateHeader = z.record(
  z.string(),
  z.strictObject({
    dtype: z.literal('F64'),
    shape: z.array(z.int().min(0)).max(8),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  }),
);

/** Float64 tensors as safetensors bytes, in the order of the map. */
export function encodeState(tensors: StateTensors): Uint8Array {
  return encodeSafetensors(tensors, null);
}

/** Reads what `encodeState` wrote. Throws TributaryError `state.damaged`. */
export function decodeState(bytes: Uint8Array): StateTensors {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const start = 8 + Number(view.getBigUint64(0, true));
    const header = stateHeader.parse(JSON.parse(Buffer.from(bytes.subarray(8, start)).toString('utf8')));
    const tensors = new Map<string, StateTensor>();
    for (const [
      name,
      {
        shape,
        data_offsets: [from, to],
      },
    ] of Object.entries(header)) {
      const data = new Float64Array(elementCount(shape));
      if (to - from !== data.byteLength) throw new RangeError(`${name} has ${to - from} bytes`);
      for (let index = 0; index < data.length; index++) {
        data[index] = view.getFloat64(start + from + 8 * index, true);
      }
      tensors.set(name, { shape, data });
    }
    return tensors;
  } catch (cause) {
    throw new TributaryError('state.damaged', 'The saved state of the run is not readable.', { cause });
  }
}
