/** @file The weights as token-by-token generation on the CPU reads them: prepared once, in a file of the cache. */

import type { DataType } from '../graph/graph.ts';
import type { ExternalData } from '../graph/onnx.ts';
import { BLOCK, packedForm } from '../model/blocks.ts';
import { EMBEDDING, headName, type ModelConfiguration } from '../model/configuration.ts';
import { linears, type Linear } from '../model/lora.ts';
import { elementCount } from '../model/tensor.ts';
import type { Int4Matrix, Int8Matrix, WeightStore } from '../model/weights.ts';
import { bytesOf, PreparedFile, type Preparation } from './prepared-file.ts';

/** Linears with the same input, whose outputs lie side by side. */
export interface LinearGroup {
  readonly name: string;
  readonly members: readonly Linear[];
}

/** How a matrix lies in the file; null where it does not and is fed as float32. */
export type DecodingForm =
  { readonly kind: 'int4'; readonly minimum: boolean } | { readonly kind: 'int8' } | null;

/** One tensor of the file. */
interface Part {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
}

/** Tensors of the file that are read from the model together. */
interface Entry {
  readonly parts: readonly Part[];
  /** The bytes of each part. */
  read(): Uint8Array[];
}

/** Raised when what the parts hold changes, so that files of before are not read. */
const LAYOUT = 2;
const BYTES: Partial<Record<DataType, number>> = { float32: 4, uint8: 1, int8: 1 };

/** The linears of each layer: q, k and v together, o, gate and up together, down. */
export function linearGroups(configuration: ModelConfiguration): LinearGroup[] {
  const all = linears(configuration);
  return Array.from({ length: all.length / 7 }, (_, layer) => {
    const [q, k, v, o, gate, up, down] = all.slice(7 * layer, 7 * layer + 7);
    const path = `model.layers.${layer}`;
    return [
      { name: `${path}.self_attn.qkv_proj`, members: [q, k, v] },
      { name: o.module, members: [o] },
      { name: `${path}.mlp.gate_up_proj`, members: [gate, up] },
      { name: down.module, members: [down] },
    ];
  }).flat();
}

/** What generation reads of one model, and the file that holds it. */
export class DecodingWeights {
  readonly #store: WeightStore;
  readonly #file: PreparedFile;

  /** @param folder cache of this model alone, made when needed */
  constructor(store: WeightStore, folder: string) {
    this.#store = store;
    this.#file = new PreparedFile(folder, () => this.#prepare());
  }

  /** The form that these matrices can have one below the other. */
  form(tensors: readonly string[]): DecodingForm {
    const formats = tensors.map((tensor) => this.#store.describe(tensor).format);
    const [kind, ...others] = new Set(formats.map(packedForm));
    if (others.length > 0 || kind === null) return null;
    // Q4_0 is symmetric: w = d · (q − 8), and 8 is what MatMulNBits takes off by itself.
    return kind === 'int4' ? { kind, minimum: formats.some((format) => format !== 'Q4_0') } : { kind };
  }

  /** Shape of a tensor of the model. */
  shape(tensor: string): readonly number[] {
    return this.#store.describe(tensor).shape;
  }

  /** Whether the tensor is a vector, such as a norm's gain: those lie in the file as float32. */
  isVector(tensor: string): boolean {
    return this.shape(tensor).length === 1;
  }

  /** The file, written at first use, and its folder. */
  external(): Promise<{ data: ExternalData; folder: string }> {
    return this.#file.external();
  }

  #prepare(): Preparation {
    const entries = this.#entries();
    const formats = this.#store.names.map((name) => [name, this.#store.describe(name).format]);
    const parts = entries.flatMap((entry) => entry.parts);
    return {
      content: { kind: 'decoding', layout: LAYOUT, formats, parts },
      entries: entries.map((entry) => ({
        parts: entry.parts.map((part) => ({ name: part.name, length: lengthOf(part) })),
        make: () => entry.read(),
      })),
    };
  }

  #entries(): Entry[] {
    const { configuration } = this.#store;
    const matrices = [
      ...linearGroups(configuration).flatMap(({ name, members }) => {
        const tensors = members.map(({ module }) => `${module}.weight`);
        if (this.form(tensors) !== null) return [{ name, tensors }];
        return members.map(({ module }) => ({ name: module, tensors: [`${module}.weight`] }));
      }),
      { name: 'head', tensors: [headName(configuration)] },
    ].flatMap(({ name, tensors }) => {
      const form = this.form(tensors);
      return form ? [{ name, tensors, form }] : [];
    });
    return [
      ...this.#store.names.filter((name) => this.isVector(name)).map((name) => this.#vector(name)),
      ...(this.form([EMBEDDING])?.kind === 'int8' ? [this.#embedding(EMBEDDING)] : []),
      ...matrices.map(({ name, tensors, form }) => this.#matrix(name, tensors, form)),
    ];
  }

  #vector(name: string): Entry {
    return {
      parts: [{ name, dataType: 'float32', shape: this.shape(name) }],
      read: () => [bytesOf(this.#store.readFloat32(name))],
    };
  }

  #embedding(tensor: string): Entry {
    const [rows, columns] = this.shape(tensor);
    return {
      parts: [
        { name: 'embedding.values', dataType: 'int8', shape: [rows, columns] },
        { name: 'embedding.scale', dataType: 'float32', shape: [rows, columns / BLOCK] },
      ],
      read: () => {
        const { values, scale } = this.#packed(tensor, 'int8');
        return [bytesOf(values), bytesOf(scale)];
      },
    };
  }

  #matrix(name: string, tensors: readonly string[], form: NonNullable<DecodingForm>): Entry {
    const rows = tensors.reduce((total, tensor) => total + this.shape(tensor)[0], 0);
    const blocks = this.shape(tensors[0])[1] / BLOCK;
    const nibbles = (part: string): Part => ({
      name: `${name}.${part}`,
      dataType: 'uint8',
      shape: [rows, blocks, BLOCK / 2],
    });
    const factors = (part: string): Part => ({
      name: `${name}.${part}`,
      dataType: 'float32',
      shape: [rows, blocks],
    });
    if (form.kind === 'int4') {
      return {
        parts: [nibbles('values'), factors('scale'), ...(form.minimum ? [factors('minimum')] : [])],
        read: () => {
          const packed = tensors.map((tensor) => this.#packed(tensor, 'int4'));
          return [
            Buffer.concat(packed.map(({ values }) => values)),
            Buffer.concat(packed.map(({ scale }) => bytesOf(scale))),
            ...(form.minimum ? [Buffer.concat(packed.map((matrix) => bytesOf(centredMinimum(matrix))))] : []),
          ];
        },
      };
    }
    const zeros: Part = { name: `${name}.zeros`, dataType: 'uint8', shape: [rows, Math.ceil(blocks / 2)] };
    const values: Part = { name: `${name}.values`, dataType: 'uint8', shape: [rows, blocks, BLOCK] };
    return {
      parts: [nibbles('high'), factors('highScale'), nibbles('low'), factors('scale'), zeros, values],
      read: () => {
        const packed = tensors.map((tensor) => this.#packed(tensor, 'int8'));
        const halves = packed.map(({ values }) => halvesOf(values));
        const highScale = packed.map(({ scale }) => bytesOf(scale.map((factor) => 16 * factor)));
        return [
          Buffer.concat(halves.map(({ high }) => high)),
          Buffer.concat(highScale),
          Buffer.concat(halves.map(({ low }) => low)),
          Buffer.concat(packed.map(({ scale }) => bytesOf(scale))),
          new Uint8Array(elementCount(zeros.shape)),
          Buffer.concat(packed.map((matrix) => withoutSign(matrix.values))),
        ];
      },
    };
  }

  #packed<Kind extends 'int4' | 'int8'>(tensor: string, kind: Kind) {
    const packed = this.#store.readPacked(tensor);
    if (packed?.kind !== kind) throw new Error(`${tensor} is not packed as ${kind}`);
    return packed as Extract<Int4Matrix | Int8Matrix, { kind: Kind }>;
  }
}

/** Bytes of a part. */
function lengthOf({ dataType, shape }: Part): number {
  return elementCount(shape) * (BYTES[dataType] ?? 0);
}

/** d · q + m = d · (q − 8) + (m + 8 d) */
function centredMinimum({ scale, minimum }: Int4Matrix): Float32Array {
  return minimum.map((value, block) => value + 8 * scale[block]);
}

/** q + 128: the bytes with the highest bit turned. */
function withoutSign(values: Int8Array): Uint8Array {
  return Uint8Array.from(values, (value) => value + 128);
}

/**
 * Eight-bit numbers as two of four bits, q = 16 · (high − 8) + low: ONNX Runtime has a kernel that computes with
 * four-bit weights in float32, but none for eight bits; that one is for activations in eight bits too.
 */
function halvesOf(values: Int8Array): { high: Uint8Array; low: Uint8Array } {
  const high = new Uint8Array(values.length / 2);
  const low = new Uint8Array(values.length / 2);
  for (let pair = 0; pair < high.length; pair++) {
    const [even, odd] = [values[2 * pair], values[2 * pair + 1]];
    high[pair] = ((even >> 4) + 8) | (((odd >> 4) + 8) << 4);
    low[pair] = (even & 15) | ((odd & 15) << 4);
  }
  return { high, low };
}
