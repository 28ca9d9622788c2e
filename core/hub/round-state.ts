/**
 * @file The hub's own state of a run on disk, in float64: the weights under `weights`, the strategy's moments under
 * their names. With a codec that rounds, the weights are those of the base that sites hold and no file of their own,
 * and `codec-rest` is what the codec has left out of the broadcasts, in float32.
 */

import type { BlobStore } from '../federation/blobs.ts';
import { openState } from '../federation/codec.ts';
import type { StateFile } from '../federation/codec.ts';
import type { Codec } from '../federation/number-formats.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { openTensorWriter } from '../federation/tensor-writer.ts';
import type { TensorWriter } from '../federation/tensor-writer.ts';
import type { Shapes } from '../federation/update.ts';

/** The name of what the codec has left out; no moment has a dash in its name. */
export const REST = 'codec-rest';
const WEIGHTS = 'weights';

/** What the strategy changes of one tensor. */
export interface TensorState {
  readonly weights: Float64Array;
  readonly moments: Readonly<Record<string, Float64Array>>;
}

export interface RoundState {
  /** One tensor; `base` is what the sites hold of it. */
  read(name: string, base: Float32Array): TensorState & { readonly rest: Float32Array | null };
  close(): void;
}

/** Opens the files of a state. Throws `blob.missing`, `blob.damaged`, `state.damaged`. */
export async function openRoundState(
  blobs: BlobStore,
  hashes: Readonly<Record<string, string>>,
): Promise<RoundState> {
  const files = new Map<string, StateFile>();
  const close = (): void => {
    for (const file of files.values()) file.close();
  };
  try {
    for (const [name, hash] of Object.entries(hashes)) {
      await blobs.require(hash);
      files.set(name, openState(blobs.path(hash)));
    }
  } catch (error) {
    close();
    throw error;
  }
  const { [WEIGHTS]: weights, [REST]: rest, ...moments } = Object.fromEntries(files);
  return {
    close,
    read: (name, base) => ({
      weights: files.has(WEIGHTS) ? weights.read(name) : new Float64Array(base),
      moments: Object.fromEntries(Object.entries(moments).map(([of, file]) => [of, file.read(name)])),
      rest: files.has(REST) && rest.has(name) ? rest.readFloat32(name) : null,
    }),
  };
}

export interface RoundStateWriter {
  /** The next tensor in the order of the shapes. */
  append(state: TensorState): void;
  /** Hashes by name. */
  finish(): Promise<Record<string, string>>;
  abandon(): Promise<void>;
}

/** Begins the files of a state. */
export async function writeRoundState(
  blobs: BlobStore,
  { codec, strategy, shapes }: { codec: Codec; strategy: Strategy; shapes: Shapes },
): Promise<RoundStateWriter> {
  const names = [...Object.keys(strategy.moments), ...(codec === 'f32' ? [WEIGHTS] : [])];
  const writers = new Map<string, TensorWriter>();
  for (const name of names) {
    writers.set(name, await openTensorWriter(blobs, shapes, { dtype: 'F64', metadata: null }));
  }
  return {
    append: ({ weights, moments }) => {
      for (const [name, writer] of writers) writer.append(name === WEIGHTS ? weights : moments[name]);
    },
    finish: async () => {
      const finished = [...writers].map(
        async ([name, writer]) => [name, (await writer.finish()).hash] as const,
      );
      return Object.fromEntries(await Promise.all(finished));
    },
    abandon: async () => {
      for (const writer of writers.values()) await writer.abandon();
    },
  };
}
