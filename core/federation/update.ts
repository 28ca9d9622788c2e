/**
 * @file What a site sends of a round and what the hub makes of it. With the codec f32 the blob holds the site's
 * weights themselves; with the others it holds differences to the base of the round, which the hub adds to the base
 * again. Matrices that rest in the round do not travel.
 *
 * Error feedback (Seide et al., 2014; Karimireddy et al., 2019, arXiv 1901.09847): what rounding has left out of an
 * update is kept at the site and added to the next one, so that over the rounds nothing is lost.
 */

import { TributaryError } from '../errors.ts';
import { isTrainable } from '../model/lora.ts';
import type { Trainable } from '../model/lora.ts';
import type { NamedTensors, Tensor } from '../model/tensor.ts';
import type { Addend, Contribution } from './aggregation.ts';
import { decodeNumbers, encodeDifference, NUMBER_FORMATS } from './number-formats.ts';
import type { Codec } from './number-formats.ts';
import type { Plan } from './plan-schema.ts';
import { sharedMatrices } from './schedule.ts';
import { partsOf } from './strategies/table.ts';
import { draftTensorFile, openTensorFile, shorten } from './tensor-file.ts';
import type { TensorFile } from './tensor-file.ts';

/** What decides how an update of a round is written. */
export interface UpdateForm {
  readonly codec: Codec;
  /** `weights`, and what else the strategy sums. */
  readonly parts: readonly string[];
  /** Matrices that travel. */
  readonly shared: Trainable;
}

/** The form of a round's updates: the plan says all of it. */
export function updateForm({ federation, adapter }: Plan, round: number): UpdateForm {
  return {
    codec: federation.codec,
    parts: partsOf(federation.strategy),
    shared: sharedMatrices(adapter.variant, round),
  };
}

/** Those of the tensors that travel. */
export function travelling<T>(tensors: ReadonlyMap<string, T>, trainable: Trainable): Map<string, T> {
  return new Map([...tensors].filter(([name]) => isTrainable(name, trainable)));
}

/** Tensors of an update by part. */
export type UpdateParts = Readonly<Record<string, NamedTensors>>;

export interface WrittenUpdate {
  readonly bytes: Uint8Array;
  /** What the hub makes of each part that is a difference in itself, such as SCAFFOLD's Δc; others stay empty. */
  readonly heard: UpdateParts;
  /** What rounding has left out of the weights, for the next update; null where the codec leaves out nothing. */
  readonly rest: NamedTensors | null;
}

/**
 * Writes an update.
 * @param parts `weights` are the site's, whole or those that were trained; other parts are differences in themselves
 * @param rest what rounding has left out of the updates before, where there were any; its numbers become what is left
 * out after this one
 */
export function writeUpdate(
  { codec, shared, parts: names }: UpdateForm,
  { parts, base, rest }: { parts: UpdateParts; base: NamedTensors; rest: NamedTensors | null },
): WrittenUpdate {
  const format = NUMBER_FORMATS[codec];
  const moving = travelling(base, shared);
  const draft = draftTensorFile(
    codec,
    names.flatMap((part) => [...moving].map(([name, tensor]) => [nameIn(part, name), tensor] as const)),
  );
  const heard: Record<string, Map<string, Tensor>> = {};
  const left = new Map(rest ?? []);
  for (const part of names) {
    const isDifference = part !== 'weights';
    heard[part] = new Map();
    for (const [name, { shape, data: from }] of moving) {
      const given = found(parts[part]?.get(name), name).data;
      const place = draft.place(nameIn(part, name));
      if (codec === 'f32') {
        format.encodeInto(given, place);
        if (isDifference) heard[part].set(name, { shape, data: given });
        continue;
      }
      if (isDifference) {
        const received = new Float32Array(given.length);
        format.encodeInto(given, place);
        format.decodeInto(place, received);
        heard[part].set(name, { shape, data: received });
      } else {
        const data = left.get(name)?.data ?? new Float32Array(from.length);
        encodeDifference(codec, { rest: data, weights: given, base: from }, place);
        left.set(name, { shape, data });
      }
    }
  }
  return { bytes: draft.bytes, heard, rest: codec === 'f32' ? null : left };
}

/** What a tensor of a part is called in the blob. PEFT's names hold no colon. */
export function nameIn(part: string, tensor: string): string {
  return part === 'weights' ? tensor : `${part}:${tensor}`;
}

/** Beyond what any adapter holds; sums of such numbers stay finite in float32 for longer than any run lasts. */
const LARGEST = 1e30;

/** Shapes of tensors by name, in the order of the adapter. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** An update whose table has been checked; each tensor is read and checked when it is asked for. */
export interface OpenUpdate {
  /**
   * By part, then by name: weights, or codes of their differences, and differences of other parts. The numbers of a
   * tensor last until the next one is asked for.
   */
  readonly parts: Contribution['parts'];
  close(): void;
}

/**
 * Opens an update and holds it against the base of its round: for each part the tensors that travel, of the same
 * shapes, in the plan's format. Throws TributaryError `update.damaged` or `update.tensor-mismatch`; reading a tensor
 * throws `update.not-finite`.
 */
export function openUpdate(path: string, base: NamedTensors, form: UpdateForm): OpenUpdate {
  const file = openAgainst(path, base, form);
  const { decodeInto } = NUMBER_FORMATS[form.codec];
  let values = new Float32Array(0);
  let sums = new Float64Array(0);
  const read = (part: string, name: string): Addend => {
    const { data: from } = found(base.get(name), name);
    const encoded = file.readEncoded(nameIn(part, name));
    const isSmall = hasSmallScales(encoded.scales);
    if (part === 'weights' && isSmall) return { difference: encoded };
    if (values.length < from.length) values = new Float32Array(from.length);
    const data = values.subarray(0, from.length);
    decodeInto(encoded, data);
    if (!isSmall) requireFinite(nameIn(part, name), data);
    if (form.codec === 'f32' || part !== 'weights') return { data };
    // In float64, so that a small difference to a large weight arrives whole.
    if (sums.length < from.length) sums = new Float64Array(from.length);
    for (let i = 0; i < from.length; i++) sums[i] = from[i] + data[i];
    return { data: sums.subarray(0, from.length) };
  };
  const expected = travelling(base, form.shared);
  return {
    parts: Object.fromEntries(
      form.parts.map((part) => [
        part,
        { get: (name: string) => (expected.has(name) ? read(part, name) : undefined) },
      ]),
    ),
    close: file.close,
  };
}

/** Reads all of an update and throws what `openUpdate` and its tensors throw. Needs one tensor's memory. */
export function checkUpdate(path: string, base: Shapes, form: UpdateForm): void {
  const file = openAgainst(path, base, form);
  try {
    for (const [name, { codec }] of file.entries) {
      if (hasSmallScales(file.readScales(name))) continue;
      requireFinite(name, decodeNumbers(codec, file.readEncoded(name)));
    }
  } finally {
    file.close();
  }
}

function openAgainst(path: string, base: Shapes, { codec, parts, shared }: UpdateForm): TensorFile {
  const damaged = (what: string): TributaryError =>
    new TributaryError('update.damaged', `The update is not a complete tensor file: ${what}.`);
  const file = openTensorFile(path, damaged);
  try {
    const expected = new Map(
      parts.flatMap((part) =>
        [...travelling(base, shared)].map(([name, entry]) => [nameIn(part, name), entry] as const),
      ),
    );
    for (const name of file.entries.keys()) {
      if (!expected.has(name))
        throw mismatch(
          `The update holds ${shorten(name)}, which the adapter of this run lacks or leaves as it is.`,
        );
    }
    for (const [name, { shape }] of expected) {
      const entry = file.entries.get(name);
      if (entry === undefined) throw mismatch(`The update lacks ${name}.`);
      if (entry.codec !== codec)
        throw mismatch(`${name} is ${entry.codec} in the update; the plan says ${codec}.`);
      if (entry.shape.join() !== shape.join()) {
        throw mismatch(
          `${name} is ${entry.shape.join(' × ')} in the update and ${shape.join(' × ')} in the base.`,
        );
      }
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function mismatch(what: string): TributaryError {
  return new TributaryError('update.tensor-mismatch', what);
}

/** Whether no number can be beyond the largest: of codes of one byte the scales tell. */
function hasSmallScales(scales: Float32Array | null): boolean {
  if (scales === null) return false;
  for (const scale of scales) if (!(Math.abs(scale) <= LARGEST / 128)) return false;
  return true;
}

/** A loop, because it sees every number of every update. */
function requireFinite(name: string, data: Float32Array): void {
  for (let at = 0; at < data.length; at++) {
    if (Math.abs(data[at]) <= LARGEST) continue;
    throw new TributaryError(
      'update.not-finite',
      `${name} holds ${data[at]} at position ${at} in the update.`,
    );
  }
}

/** Trainers give what they are asked for, so a gap is a mistake of this program. */
function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`The tensor ${name} is missing.`);
  return value;
}
