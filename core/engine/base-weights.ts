/** @file The frozen weights in memory: read once from the model's file, borrowed by every session. */

import { Tensor } from 'onnxruntime-node';

import { TributaryError } from '../errors.ts';
import type { ExternalData } from '../graph/onnx.ts';
import { BLOCK, packedForm } from '../model/blocks.ts';
import { EMBEDDING, headName } from '../model/configuration.ts';
import { INTEGER_PARTS, type Packing, type WeightInput } from '../model/frozen-weights.ts';
import {
  CODE_LIMITS,
  headCodes,
  integerWeights,
  staysExact,
  type CodedPacking,
} from '../model/integer-weights.ts';
import { linears } from '../model/lora.ts';
import { elementCount } from '../model/tensor.ts';
import type { WeightStore } from '../model/weights.ts';
import type { Device } from './devices.ts';
import type { Precision } from './precisions.ts';
import { codePacking } from './code-packing.ts';
import { bytesOf, PreparedFile, type Preparation, type PreparedEntry } from './prepared-file.ts';

/**
 * Feeds for graphs over one model. Four-bit values cannot be fed by ONNX Runtime's binding, and codes for products in
 * eight bits take long to make, so they are written once into a file of the cache folder, which every session maps
 * into memory.
 */
export class BaseWeights {
  readonly #store: WeightStore;
  readonly #packings: ReadonlyMap<string, Packing>;
  readonly #tensors = new Map<string, Tensor>();
  readonly #entries: readonly PreparedEntry[];
  /** Inputs that are read from the file beside the graph. */
  readonly #external: ReadonlySet<string>;
  readonly #file: PreparedFile;
  readonly precision: Precision;
  /** How matrices are coded at int8. */
  #coded: CodedPacking = 'codes';

  /**
   * @param folder cache of this model alone, made when needed
   * @throws TributaryError `engine.precision-unavailable` when int4 is asked for and the file holds no such blocks, or
   * int8 for another device than the CPU
   */
  constructor(store: WeightStore, options: { precision: Precision; device: Device; folder: string }) {
    this.#store = store;
    this.precision = options.precision;
    this.#packings = new Map(packings(store, options));
    this.#entries = this.#prepared();
    this.#external = new Set(this.#entries.flatMap(({ parts }) => parts.map(({ name }) => name)));
    this.#file = new PreparedFile(options.folder, () => this.#prepare());
    if (options.precision === 'int8' && options.device !== 'cpu') {
      throw new TributaryError(
        'engine.precision-unavailable',
        `Precision int8 is for the CPU; on ${options.device} choose f32 or int4.`,
      );
    }
    if (options.precision === 'int4' && ![...this.#packings.values()].includes('int4')) {
      throw new TributaryError(
        'engine.precision-unavailable',
        'The model file holds no four-bit weights, so it cannot run at precision int4.',
      );
    }
  }

  /** Decides how matrices are coded, before the first graph is built. */
  async prepare(): Promise<void> {
    if (this.precision === 'int8') this.#coded = await codePacking();
  }

  /** The codes from which the scores over the vocabulary are computed, if they are. */
  get headCodes(): CodedPacking | null {
    return this.precision === 'int8' ? this.#coded : null;
  }

  packing(tensor: string): Packing {
    const packing = this.#packings.get(tensor) ?? 'float32';
    return packing === 'codes' ? this.#coded : packing;
  }

  /** Whether the input is read from the file beside the graph instead of being fed. */
  isExternal({ input }: WeightInput): boolean {
    return this.#external.has(input);
  }

  /** The file of packed values, written at first use, and the folder in which a graph that reads it must lie. */
  external(): Promise<{ data: ExternalData; folder: string }> {
    return this.#file.external();
  }

  /** Tensors for those inputs that are fed. */
  feeds(inputs: readonly WeightInput[]): Record<string, Tensor> {
    return Object.fromEntries(
      inputs.filter((input) => !this.isExternal(input)).map((input) => [input.input, this.#tensor(input)]),
    );
  }

  clear(): void {
    this.#tensors.clear();
  }

  #tensor({ input, tensor, part }: WeightInput): Tensor {
    const known = this.#tensors.get(input);
    if (known) return known;
    for (const [name, made] of this.#read(tensor, part)) this.#tensors.set(name, made);
    const made = this.#tensors.get(input);
    if (!made) throw new Error(`${tensor} has no part ${part}`);
    return made;
  }

  #read(tensor: string, part: WeightInput['part']): [string, Tensor][] {
    if (part === 'float32') {
      const { shape } = this.#store.describe(tensor);
      return [[tensor, new Tensor('float32', this.#store.readFloat32(tensor), [...shape])]];
    }
    const packed = this.#store.readPacked(tensor);
    if (!packed) throw new Error(`${tensor} is not packed`);
    const blocks = [packed.shape[0], packed.scale.length / packed.shape[0]];
    const scale: [string, Tensor] = [`${tensor}.scale`, new Tensor('float32', packed.scale, blocks)];
    return packed.kind === 'int4'
      ? [scale, [`${tensor}.minimum`, new Tensor('float32', packed.minimum, blocks)]]
      : [scale, [`${tensor}.values`, new Tensor('int8', packed.values, [...packed.shape])]];
  }

  #prepare(): Preparation {
    const entries = this.#entries;
    return this.precision === 'int8'
      ? { content: { kind: 'int8', layout: LAYOUT, coded: this.#coded }, entries }
      : { content: { kind: 'int4', layout: LAYOUT }, entries };
  }

  /** Matrices of four bits; at int8, what is in codes, and the embedding, of which a graph reads single rows. */
  #prepared(): PreparedEntry[] {
    const { configuration } = this.#store;
    const packed = (packing: Packing) =>
      [...this.#packings].filter(([, its]) => its === packing).map(([tensor]) => tensor);
    if (this.precision === 'f32') return [];
    const fourBits = packed('int4').map((tensor) => this.#fourBits(tensor));
    if (this.precision === 'int4') return fourBits;
    const coded = [...packed('codes'), headName(configuration)];
    return [...coded.map((tensor) => this.#codes(tensor)), ...fourBits, this.#table(EMBEDDING)];
  }

  /** A matrix in the parts that are otherwise fed. */
  #table(tensor: string): PreparedEntry {
    const { shape } = this.#store.describe(tensor);
    const count = elementCount(shape);
    return this.#packings.get(tensor) === 'int8'
      ? {
          parts: [
            { name: `${tensor}.values`, length: count },
            { name: `${tensor}.scale`, length: (4 * count) / BLOCK },
          ],
          make: () => {
            const packed = this.#store.readPacked(tensor);
            if (packed?.kind !== 'int8') throw new Error(`${tensor} is not packed in eight bits`);
            return [bytesOf(packed.values), bytesOf(packed.scale)];
          },
        }
      : {
          parts: [{ name: tensor, length: 4 * count }],
          make: () => [bytesOf(this.#store.readFloat32(tensor))],
        };
  }

  #fourBits(tensor: string): PreparedEntry {
    const length = elementCount(this.#store.describe(tensor).shape) / 2;
    return {
      parts: [{ name: `${tensor}.values`, length }],
      make: () => {
        const packed = this.#store.readPacked(tensor);
        if (packed?.kind !== 'int4') throw new Error(`${tensor} is not packed in four bits`);
        return [packed.values];
      },
    };
  }

  #codes(tensor: string): PreparedEntry {
    const [out, into] = this.#store.describe(tensor).shape;
    const lengths = [out * into, 4 * out, out * into, 4 * into];
    return {
      parts: INTEGER_PARTS.map((part, index) => ({ name: `${tensor}.${part}`, length: lengths[index] })),
      make: () => {
        const code = tensor === headName(this.#store.configuration) ? headCodes : integerWeights;
        const limit = CODE_LIMITS[this.#coded].matrix;
        const { forward, backward } = code(this.#store.readFloat32(tensor), [out, into], limit);
        return [forward, backward].flatMap(({ values, columns }) => [bytesOf(values), bytesOf(columns)]);
      },
    };
  }
}

/** Raised when what the parts of a prepared file hold changes, so that files of before are not read. */
const LAYOUT = 3;

/**
 * At int4, matrices in blocks of four bits, and an embedding in blocks of eight where Gather knows them, stay as they
 * are; at int8, linears become codes but for those that stay exact, and these, embedding and head stay as they are in
 * blocks of four or eight bits.
 */
function packings(
  store: WeightStore,
  { precision, device }: { precision: Precision; device: Device },
): (readonly [string, Packing])[] {
  if (precision === 'f32') return [];
  const formOf = (name: string) => {
    const { format, shape } = store.describe(name);
    return shape.length === 2 ? packedForm(format) : null;
  };
  if (precision === 'int8') {
    const codes = linears(store.configuration).map(
      ({ module }) =>
        [
          `${module}.weight`,
          staysExact(module) ? (formOf(`${module}.weight`) ?? 'float32') : 'codes',
        ] as const,
    );
    const tables = [EMBEDDING, headName(store.configuration)].map(
      (name) => [name, formOf(name) === 'int8' ? 'int8' : 'float32'] as const,
    );
    return [...codes, ...tables];
  }
  return store.names.map((name) => {
    const form = formOf(name);
    const chosenByRow = device === 'webgpu' ? [] : ['int8'];
    return [name, form === null || (name === EMBEDDING && !chosenByRow.includes(form)) ? 'float32' : form];
  });
}
