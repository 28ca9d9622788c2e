/** @file How a graph uses a model's frozen weights: as inputs, packed or as float32, each declared once. */

import {
  dequantizeLinear,
  gather,
  gemm,
  integerProduct,
  quantizeRows,
  rotateBlocks,
  reduceSum,
  reshape,
  largestOfRows,
  type CodedProduct,
  type IntegerFactor,
} from '../graph/build.ts';
import type { Shape } from '../graph/dimension.ts';
import type { DataType, Graph, Value } from '../graph/graph.ts';
import { CODE_LIMITS, rotatesGradient, type CodedPacking } from './integer-weights.ts';
import { rotationBlock, rotationMatrix } from './rotation.ts';

/** How a matrix lies in memory while the graph runs: as numbers, in blocks of a file, or in codes of `integer-weights.ts`. */
export type Packing = 'float32' | 'int4' | 'int8' | CodedPacking;

/** A graph input that is fed from the model's file. */
export interface WeightInput {
  readonly input: string;
  /** Name of the model's tensor. */
  readonly tensor: string;
  readonly part: WeightPart;
}

/** What a tensor consists of in memory: itself, its packed parts, or codes and scales of its two products. */
export type WeightPart = 'float32' | 'values' | 'scale' | 'minimum' | IntegerPart;
export const INTEGER_PARTS = ['forward', 'forward-columns', 'backward', 'backward-columns'] as const;
export type IntegerPart = (typeof INTEGER_PARTS)[number];

const BLOCK = 32;

/** Declares weights as inputs of one graph and computes with them. */
export class FrozenWeights {
  readonly inputs: WeightInput[] = [];
  readonly #graph: Graph;
  readonly #packing: (tensor: string) => Packing;
  readonly #declared = new Map<string, Value>();
  /** By their size: to look the constant up by its elements would take long. */
  readonly #rotations = new Map<number, Value>();

  constructor(graph: Graph, packing: (tensor: string) => Packing) {
    this.#graph = graph;
    this.#packing = packing;
  }

  /** A tensor as float32, such as a norm's gain [size]. */
  tensor(name: string, shape: Shape): Value {
    return this.#declare({ input: name, tensor: name, part: 'float32' }, 'float32', shape);
  }

  /**
   * x·Wᵀ for x [rows, in] and W [out, in]. Four-bit weights w = s·q + m stay packed, since
   *   x·Wᵀ = x·(s·q)ᵀ + blockSums(x)·mᵀ
   *
   * Codes are multiplied as whole numbers, by those of the rotated x.
   */
  product(x: Value, name: string, [out, into]: readonly [number, number]): Value {
    const packing = this.#packing(name);
    if (packing === 'float32') return gemm(x, this.tensor(name, [out, into]), { transB: true });
    if (packing === 'codes' || packing === 'narrow-codes') {
      return integerProduct(x, this.coded(x, name, { shape: [out, into], packing }));
    }
    const y = gemm(x, this.#unpacked(name, packing, [out, into]), { transB: true });
    if (packing === 'int8') return y;
    const minimum = this.#part(name, 'minimum', [out, into / BLOCK]);
    const blocks = reshape(x, [x.shape[0], into / BLOCK, BLOCK]);
    const blockSums = reshape(reduceSum(blocks, [-1]), [x.shape[0], into / BLOCK]);
    return gemm(blockSums, minimum, { transB: true, plus: y });
  }

  /** Rows of W [count, size] chosen by ids [n]; W is float32 or int8. */
  rows(name: string, ids: Value, [count, size]: readonly [number, number]): Value {
    if (this.#packing(name) === 'float32') return gather(this.tensor(name, [count, size]), ids);
    const values = gather(this.#part(name, 'values', [count, size], 'int8'), ids);
    return dequantizeLinear(values, gather(this.#part(name, 'scale', [count, size / BLOCK]), ids), BLOCK);
  }

  /** W [out, in] as it lies in memory: float32, or int8 with the scales of its blocks. */
  matrix(name: string, [out, into]: readonly [number, number]): { weight: Value; scale?: Value } {
    const packing = this.#packing(name);
    if (packing === 'float32') return { weight: this.tensor(name, [out, into]) };
    if (packing !== 'int8') throw new Error(`${name} cannot be read as ${packing}`);
    const scale = this.#part(name, 'scale', [out, into / BLOCK]);
    return { weight: this.#part(name, 'values', [out, into], 'int8'), scale };
  }

  /** What x·Wᵀ is computed from in whole numbers, for x [rows, in] and W [out, in] of which there are such codes. */
  coded(
    x: Value,
    name: string,
    { shape, packing }: { shape: readonly [number, number]; packing: CodedPacking },
  ): CodedProduct {
    const rotated = rotateBlocks(x, this.#rotation(shape[1]));
    const largest = largestOfRows(rotated);
    const limit = CODE_LIMITS[packing].rows;
    return { codes: quantizeRows(rotated, largest, limit), largest, limit, factor: this.#codes(name, shape) };
  }

  /** By what blocks of so many channels are rotated, as those of the codes of W are. */
  #rotation(channels: number): Value {
    const block = rotationBlock(channels);
    const rotation =
      this.#rotations.get(block) ?? this.#graph.constant('float32', [block, block], rotationMatrix(block));
    this.#rotations.set(block, rotation);
    return rotation;
  }

  #codes(name: string, [out, into]: readonly [number, number]): IntegerFactor {
    return {
      values: this.#part(name, 'forward', [into, out], 'int8'),
      columns: this.#part(name, 'forward-columns', [out]),
      backValues: this.#part(name, 'backward', [out, into], 'int8'),
      backColumns: this.#part(name, 'backward-columns', [into]),
      ...(rotatesGradient([out, into]) && { rotation: this.#rotation(out) }),
    };
  }

  #unpacked(name: string, packing: 'int4' | 'int8', [out, into]: readonly [number, number]): Value {
    const values = this.#part(name, 'values', [out, into], packing === 'int4' ? 'uint4' : 'int8');
    return dequantizeLinear(values, this.#part(name, 'scale', [out, into / BLOCK]), BLOCK);
  }

  #part(name: string, part: WeightInput['part'], shape: Shape, dataType: DataType = 'float32'): Value {
    return this.#declare({ input: `${name}.${part}`, tensor: name, part }, dataType, shape);
  }

  #declare(input: WeightInput, dataType: DataType, shape: Shape): Value {
    const known = this.#declared.get(input.input);
    if (known) return known;
    const value = this.#graph.input(input.input, dataType, shape);
    this.inputs.push(input);
    this.#declared.set(input.input, value);
    return value;
  }
}
