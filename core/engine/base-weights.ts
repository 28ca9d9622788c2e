/** @file The frozen weights in memory: read once from the model's file, borrowed by every session. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Tensor } from 'onnxruntime-node';

import { TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import type { ExternalData } from '../graph/onnx.ts';
import { packedForm } from '../model/blocks.ts';
import type { Packing, WeightInput } from '../model/frozen-weights.ts';
import type { WeightStore } from '../model/weights.ts';
import type { Device } from './devices.ts';

/** How the frozen weights lie in memory: float32, or the file's four-bit and eight-bit blocks as they are. */
export type Precision = 'f32' | 'int4';

const VALUES_FILE = 'int4-values.bin';
/** Ranges of a file that start here can be mapped into memory. */
const PAGE = 4096;

/**
 * Feeds for graphs over one model. Four-bit values cannot be fed by ONNX Runtime's binding, so they are written
 * once into a file of the cache folder, which every session maps into memory.
 */
export class BaseWeights {
  readonly #store: WeightStore;
  readonly #folder: string;
  readonly #packings: ReadonlyMap<string, Packing>;
  readonly #tensors = new Map<string, Tensor>();
  #external: Promise<ExternalData> | null = null;

  /**
   * @param folder cache of this model alone, made when needed
   * @throws TributaryError `engine.precision-unavailable` when int4 is asked for and the file holds no such blocks
   */
  constructor(store: WeightStore, options: { precision: Precision; device: Device; folder: string }) {
    this.#store = store;
    this.#folder = options.folder;
    this.#packings = new Map(options.precision === 'f32' ? [] : packings(store, options.device));
    if (options.precision === 'int4' && ![...this.#packings.values()].includes('int4')) {
      throw new TributaryError(
        'engine.precision-unavailable',
        'The model file holds no four-bit weights, so it cannot run at precision int4.',
      );
    }
  }

  packing(tensor: string): Packing {
    return this.#packings.get(tensor) ?? 'float32';
  }

  /** Whether the input is read from the file beside the graph instead of being fed. */
  isExternal({ tensor, part }: WeightInput): boolean {
    return part === 'values' && this.packing(tensor) === 'int4';
  }

  /** The file of four-bit values, written at first use, and the folder in which a graph that reads it must lie. */
  async external(): Promise<{ data: ExternalData; folder: string }> {
    this.#external ??= this.#writeValues().catch((error: unknown) => {
      this.#external = null;
      throw error;
    });
    return { data: await this.#external, folder: this.#folder };
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

  async #writeValues(): Promise<ExternalData> {
    const ranges = new Map<string, { offset: number; length: number }>();
    let size = 0;
    for (const [tensor, packing] of this.#packings) {
      if (packing !== 'int4') continue;
      const length = this.#store.describe(tensor).shape.reduce((count, axis) => count * axis, 1) / 2;
      ranges.set(`${tensor}.values`, { offset: size, length });
      size = Math.ceil((size + length) / PAGE) * PAGE;
    }
    const path = join(this.#folder, VALUES_FILE);
    if (!existsSync(path) || statSync(path).size !== size) {
      const file = Buffer.alloc(size);
      for (const [name, { offset }] of ranges) {
        const packed = this.#store.readPacked(name.slice(0, -'.values'.length));
        if (packed) file.set(packed.values, offset);
      }
      mkdirSync(this.#folder, { recursive: true });
      await writeFileAtomically(path, file);
    }
    return { location: VALUES_FILE, ranges };
  }
}

/** Matrices in blocks of four bits, and an embedding in blocks of eight where Gather knows them, stay as they are. */
function packings(store: WeightStore, device: Device): [string, Packing][] {
  return store.names.map((name) => {
    const { format, shape } = store.describe(name);
    const form = shape.length === 2 ? packedForm(format) : null;
    const isEmbedding = name === 'model.embed_tokens.weight';
    const chosenByRow = device === 'webgpu' ? [] : ['int8'];
    return [name, form === null || (isEmbedding && !chosenByRow.includes(form)) ? 'float32' : form];
  });
}
