/**
 * @file Recomputation instead of storage (gradient checkpointing; Chen et al., 2016): values of a segment are computed
 * a second time, from those that are kept, when the reverse walk first needs one of them.
 */

import { after } from './build.ts';
import type { Node, Value } from './graph.ts';

/** The segment that a node is recomputed with, or null where its result is kept. */
export type Segments = (node: Node) => string | null;

/** Gives the reverse walk, for each forward node, a node with the same result that need not have been kept. */
export class Recomputation {
  readonly #segmentOf: Segments;
  /** Per segment: what its recomputation waits for, and what stands for each forward value in it. */
  readonly #segments = new Map<string, { readonly waitsFor: Value; readonly values: Map<Value, Value> }>();

  constructor(segmentOf: Segments) {
    this.#segmentOf = segmentOf;
  }

  /** `node` with recomputed inputs and result; `gradient` is that of the node's result, which has just arrived. */
  node(node: Node, gradient: Value): Node {
    const inputs = node.inputs.map((input) => this.#value(input, gradient));
    const output = this.#value(node.output, gradient);
    if (output === node.output && inputs.every((input, index) => input === node.inputs[index])) return node;
    return { ...node, inputs, output };
  }

  #value(value: Value, gradient: Value): Value {
    const segment = value.producer && this.#segmentOf(value.producer);
    if (segment === null) return value;
    let known = this.#segments.get(segment);
    if (!known) this.#segments.set(segment, (known = { waitsFor: gradient, values: new Map() }));
    return this.#recomputed(value, segment, known);
  }

  #recomputed(
    value: Value,
    segment: string,
    { waitsFor, values }: { waitsFor: Value; values: Map<Value, Value> },
  ): Value {
    const { producer, graph } = value;
    if (!producer) return value;
    const known = values.get(value);
    if (known) return known;
    let made;
    if (this.#segmentOf(producer) === segment) {
      const inputs = producer.inputs.map((input) => this.#recomputed(input, segment, { waitsFor, values }));
      made = graph.scopeAt(`/recomputed${producer.name}`, () =>
        graph.apply(producer.operator, inputs, producer.attributes),
      );
    } else {
      // Without this wait the second computation would be the first one: equal, early, and kept.
      made = after(this.#value(value, waitsFor), waitsFor);
    }
    values.set(value, made);
    return made;
  }
}
