/** @file The graph under construction: values, nodes, named inputs, constants and outputs. */

import type { Shape } from './dimension.ts';
import type { Attributes, Operator } from './operators/attributes.ts';
import { operators } from './operators/table.ts';

/** ONNX element types that Tributary's graphs use. */
export type DataType =
  'float16' | 'float32' | 'float64' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8' | 'uint4';

/** One tensor in the graph. */
export interface Value {
  readonly graph: Graph;
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: Shape;
  /** The node that computes it; null for inputs and constants. */
  readonly producer: Node | null;
}

/** One operation with one result. */
export interface Node<O extends Operator = Operator> {
  readonly operator: O;
  /** A path: `/layers.3/attention/query/Gemm`. */
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes[O];
  readonly output: Value;
}

/** A value known when the graph is built. */
export interface Constant {
  readonly value: Value;
  readonly shape: readonly number[];
  readonly elements: readonly number[];
}

/** Builds a graph node by node; equal operations on equal inputs are computed once. */
export class Graph {
  readonly inputs: Value[] = [];
  readonly constants: Constant[] = [];
  readonly nodes: Node[] = [];
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly #known = new Map<string, Value>();
  readonly #names = new Set<string>();
  #scope = '';

  /** Runs `build` with `part` appended to the path of the nodes it makes. */
  scope<T>(part: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}/${part}`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Runs `build` with the scope set to an absolute path, such as that of a forward node. */
  scopeAt<T>(path: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = path;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Declares a tensor that is fed at every run. */
  input(name: string, dataType: DataType, shape: Shape): Value {
    if (this.inputs.some((input) => input.name === name)) throw new Error(`input ${name} is declared twice`);
    const value: Value = { graph: this, name, dataType, shape, producer: null };
    this.inputs.push(value);
    return value;
  }

  /** A constant tensor; equal constants are stored once. Row-major elements. */
  constant(dataType: DataType, shape: readonly number[], elements: readonly number[]): Value {
    const key = `constant ${dataType} [${shape.join(',')}] ${elements.join(',')}`;
    const known = this.#known.get(key);
    if (known) return known;
    const label = elements.length <= 4 ? elements.join('_') : `${elements.length}_values`;
    const name = this.#uniqueName(`/constants/${dataType}/${shape.length === 0 ? '' : 'shape'}${label}`);
    const value: Value = { graph: this, name, dataType, shape, producer: null };
    this.constants.push({ value, shape, elements });
    this.#known.set(key, value);
    return value;
  }

  /** Adds a node, or returns the value of an equal one. Shape and type follow from the operator's rule. */
  apply<O extends Operator>(operator: O, inputs: readonly Value[], attributes: Attributes[O]): Value {
    const key = `${operator}(${inputs.map((input) => input.name).join(',')})${JSON.stringify(attributes)}`;
    const known = this.#known.get(key);
    if (known) return known;
    const name = this.#uniqueName(`${this.#scope}/${operator}`);
    let inferred;
    try {
      inferred = operators[operator].infer(inputs, attributes);
    } catch (cause) {
      const shapes = inputs.map((input) => `[${input.shape.join(', ')}]`).join(' ');
      throw new Error(`${name} on ${shapes}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
    const output: { -readonly [K in keyof Value]: Value[K] } = {
      graph: this,
      name: `${name}/output`,
      ...inferred,
      producer: null,
    };
    const node: Node<O> = { operator, name, inputs, attributes, output };
    output.producer = node;
    this.nodes.push(output.producer);
    this.#known.set(key, output);
    return output;
  }

  /** Makes `value` available after a run under `name`. */
  output(name: string, value: Value): void {
    if (this.outputs.some((output) => output.name === name))
      throw new Error(`output ${name} is declared twice`);
    this.outputs.push({ name, value });
  }

  #uniqueName(base: string): string {
    let name = base;
    for (let number = 1; this.#names.has(name); number++) name = `${base}_${number}`;
    this.#names.add(name);
    return name;
  }
}
