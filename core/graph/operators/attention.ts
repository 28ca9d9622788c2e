/** @file Causal attention, a block of its queries at a time, so that its scores never lie in memory together. */

import { causalAttentionGradient } from '../build.ts';
import type { Node, Value } from '../graph.ts';
import { int, ints, names, require, type EmittedNode, type Emitter, type Rules } from './rule.ts';

type Attention = 'CausalAttention' | 'CausalAttentionGradient';

export const attention: Rules<Attention | 'AttentionGradientPart'> = {
  // For each block of the queries, with the keys and values up to its end:
  //
  //   P = softmax(Q Kᵀ + mask),  y = P V
  //
  // as Dao et al. (2022, arXiv 2205.14135) do within a processor's cache; what lies behind a block is not even computed.
  CausalAttention: {
    infer: (inputs) => {
      checkShapes(inputs);
      const [{ dataType, shape }] = inputs;
      return { dataType, shape };
    },
    gradient: (dy, { inputs, attributes }, index) => {
      if (index === 3) throw new Error('a mask has no gradient');
      const { queries, keys, values } = causalAttentionGradient(dy, inputs, attributes);
      return [queries, keys, values][index];
    },
    emit: (node, emitter) => {
      const values = names(node)[2];
      emitBlocks(node, emitter, (block) => {
        const mixed = block.node('mixed', 'MatMul', [block.shares, block.untilEnd('values', values, 2)]);
        return { rows: block.apart('rows', mixed), sums: [] };
      });
    },
  },

  // With P as above, computed again, and D = Σ over keys of dP P, for each block:
  //
  //   dP = dY Vᵀ,  dS = P (dP − D),  dQ = dS K,  dK += dSᵀ Q,  dV += Pᵀ dY
  CausalAttentionGradient: {
    infer: ([dy, ...inputs]) => {
      checkShapes(inputs);
      return { dataType: dy.dataType, shape: dy.shape };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [dy, , keys, values] = names(node);
      const valuesAcross = emitter.intermediate('values_across');
      emitter.node({ type: 'Transpose', inputs: [values], output: valuesAcross, attributes: ACROSS });
      emitBlocks({ ...node, inputs: node.inputs.slice(1) }, emitter, (block) => {
        const given = block.together('given', block.ofBlock('dy', dy));
        const dShares = block.node('d_shares', 'MatMul', [given, block.untilEnd('values', valuesAcross, 3)]);
        const weighted = block.node('weighted', 'Mul', [dShares, block.shares]);
        const mean = block.node('mean', 'ReduceSum', [weighted, block.shape([-1])], { keepdims: int(1) });
        const dScores = block.node('d_scores', 'Mul', [
          block.shares,
          block.node('centred', 'Sub', [dShares, mean]),
        ]);
        const dQueries = block.node('d_queries', 'MatMul', [dScores, block.untilEnd('keys', keys, 2)]);
        const transposed = (label: string, left: string, right: string) =>
          block.node(label, 'MatMul', [block.node(`${label}_across`, 'Transpose', [left], ACROSS), right]);
        return {
          rows: block.apart('d_rows', dQueries),
          sums: [
            { name: 'keys', product: transposed('d_keys', dScores, block.queries) },
            { name: 'values', product: transposed('d_values', block.shares, given) },
          ],
        };
      });
    },
  },

  AttentionGradientPart: {
    infer: ([dQueries], { part }) => {
      const of = dQueries.producer?.inputs[part === 'keys' ? 2 : 3];
      require(dQueries.producer?.operator === 'CausalAttentionGradient' &&
        of !== undefined, 'it is no part of it');
      return { dataType: of.dataType, shape: of.shape };
    },
    gradient: null,
    emit: ({ inputs: [dQueries], attributes, output }, emitter) =>
      emitter.node({
        type: 'Identity',
        inputs: [sumOf(dQueries.name, attributes.part)],
        output: output.name,
      }),
  },
};

const ACROSS = { perm: ints([0, 1, 3, 2]) };

function checkShapes([query, keys, values, mask]: readonly Value[]): void {
  const [batch, groups, repeats, length, size] = query.shape;
  require(query.shape.length === 5 && typeof repeats === 'number', 'queries must have five axes');
  require(typeof size === 'number', 'the size of a head must be known');
  const expected = [batch, groups, length, size].join();
  require(keys.shape.join() === expected, 'keys do not fit the queries');
  require(values.shape.join() === expected, 'values do not fit the queries');
  require(mask.shape.join() === [batch, 1, 1, length, length].join(), 'the mask does not fit the queries');
}

/** A result beside the one that has the queries' rows: the name of a sum over all blocks. */
function sumOf(output: string, name: string): string {
  return `${output}/${name}`;
}

/** What is computed of a block: rows [batch, groups, repeats, rows, size], and what it adds to keys or values. */
interface BlockResult {
  readonly rows: string;
  /** Products [batch, groups, end, size]. */
  readonly sums: readonly { readonly name: string; readonly product: string }[];
}

/** The int64 [1] names of the first place of a block, and of the first one behind it. */
interface Range {
  readonly start: string;
  readonly end: string;
}

/** What forward and backward pass do alike; the node's inputs are those of the forward one. */
type AttentionNode = Pick<Node<Attention>, 'name' | 'inputs' | 'attributes' | 'output'>;

/**
 * Emits what `compute` makes of each block. Texts no longer than one block take the branch of an If in which nothing is
 * copied out of the whole; longer ones that with a Loop, whose state are the rows so far, and the sums.
 */
function emitBlocks(node: AttentionNode, emitter: Emitter, compute: (block: Block) => BlockResult): void {
  const [query, keys] = names(node);
  const { rows: rowsOfBlock } = node.attributes;
  const { dataType } = node.output;
  const shape = (elements: readonly number[]) => emitter.constant('int64', [elements.length], elements);
  const outer = emitterOf('', { emitter, add: (emitted) => emitter.node(emitted) });
  const length = outer('length', 'Shape', [keys], { start: int(2), end: int(3) });
  const keysAcross = outer('keys_across', 'Transpose', [keys], ACROSS);
  const isShort = outer('is_short', 'LessOrEqual', [length, shape([rowsOfBlock])]);

  const whole: EmittedNode[] = [];
  const short = compute(
    new Block(node, {
      emitter,
      node: emitterOf('whole_', { emitter, add: (emitted) => whole.push(emitted) }),
      keysAcross,
      length,
      range: null,
    }),
  );

  const longer: EmittedNode[] = [];
  const around = emitterOf('', { emitter, add: (emitted) => longer.push(emitted) });
  const body: EmittedNode[] = [];
  const part = emitterOf('block_', { emitter, add: (emitted) => body.push(emitted) });
  const local = (label: string) => emitter.intermediate(label);
  const start = part('start', 'Mul', [
    part('number', 'Reshape', [local('block'), shape([1])]),
    shape([rowsOfBlock]),
  ]);
  const end = part('end', 'Min', [part('limit', 'Add', [start, shape([rowsOfBlock])]), length]);
  const ofBlock = compute(
    new Block(node, { emitter, node: part, keysAcross, length, range: { start, end } }),
  );
  const rounded = around('rounded', 'Add', [length, shape([rowsOfBlock - 1])]);
  const count = around('count', 'Squeeze', [around('blocks', 'Div', [rounded, shape([rowsOfBlock])])]);
  const empty = around('empty', 'Slice', [query, shape([0]), shape([0]), shape([3])]);
  part('going', 'Identity', [local('going')]);
  const states = [
    {
      name: 'y',
      axes: 5,
      start: empty,
      next: part('y_next', 'Concat', [local('y'), ofBlock.rows], { axis: int(3) }),
    },
  ];
  if (ofBlock.sums.length > 0) {
    const extent = around('extent', 'Shape', [keys]);
    const zeros = around('zeros', 'Expand', [emitter.constant(dataType, [], [0]), extent]);
    const behind = part('behind', 'Sub', [length, end]);
    const padding = part('padding', 'Concat', [shape([0, 0, 0, 0, 0, 0]), behind, shape([0])], {
      axis: int(0),
    });
    for (const { name, product } of ofBlock.sums) {
      const padded = part(`${name}_padded`, 'Pad', [product, padding]);
      states.push({ name, axes: 4, start: zeros, next: part(`${name}_next`, 'Add', [local(name), padded]) });
    }
  }
  const info = (name: string, axes: number) => ({
    name,
    dataType,
    shape: Array.from({ length: axes }, (_, axis) => `${name}_${axis}`),
  });
  longer.push({
    type: 'Loop',
    inputs: [count, '', ...states.map((state) => state.start)],
    output: local('looped_y'),
    others: states.slice(1).map(({ name }) => local(`looped_${name}`)),
    attributes: {
      body: {
        kind: 'graph',
        value: {
          inputs: [
            { name: local('block'), dataType: 'int64', shape: [] },
            { name: local('going'), dataType: 'bool', shape: [] },
            ...states.map(({ name, axes }) => info(local(name), axes)),
          ],
          nodes: body,
          outputs: [
            { name: local('block_going'), dataType: 'bool', shape: [] },
            ...states.map(({ next, axes }) => info(next, axes)),
          ],
        },
      },
    },
  });

  const branch = (nodes: readonly EmittedNode[], results: readonly string[]) => ({
    kind: 'graph' as const,
    value: {
      inputs: [],
      nodes,
      outputs: results.map((name, at) => info(name, states[at].axes)),
    },
  });
  emitter.node({
    type: 'If',
    inputs: [isShort],
    output: node.output.name,
    others: states.slice(1).map(({ name }) => sumOf(node.output.name, name)),
    attributes: {
      then_branch: branch(whole, [short.rows, ...short.sums.map(({ product }) => product)]),
      else_branch: branch(
        longer,
        states.map(({ name }) => local(`looped_${name}`)),
      ),
    },
  });
}

/** Emits a node whose result is called `label`, and gives that name. */
type NodeEmitter = (
  label: string,
  type: string,
  inputs: readonly string[],
  attributes?: EmittedNode['attributes'],
) => string;

function emitterOf(
  prefix: string,
  { emitter, add }: { emitter: Emitter; add: (emitted: EmittedNode) => void },
): NodeEmitter {
  return (label, type, inputs, attributes = {}) => {
    const output = emitter.intermediate(`${prefix}${label}`);
    add({ type, inputs, output, attributes });
    return output;
  };
}

/** A block of the queries, or all of them where its range is null. */
class Block {
  readonly node: NodeEmitter;
  /** P, [batch, groups, repeats · rows, end]. */
  readonly shares: string;
  /** Those of the block, [batch, groups, repeats · rows, size]. */
  readonly queries: string;
  readonly #emitter: Emitter;
  readonly #range: Range | null;
  readonly #repeats: number;
  readonly #size: number;

  constructor(
    { inputs }: AttentionNode,
    {
      emitter,
      node,
      keysAcross,
      length,
      range,
    }: { emitter: Emitter; node: NodeEmitter; keysAcross: string; length: string; range: Range | null },
  ) {
    this.#emitter = emitter;
    this.#range = range;
    this.node = node;
    const [query, , , mask] = names({ inputs });
    this.#repeats = Number(inputs[0].shape[2]);
    this.#size = Number(inputs[0].shape[4]);
    this.queries = this.together('query_rows', this.ofBlock('queries', query));
    const scores = node('scores', 'MatMul', [this.queries, this.untilEnd('keys_across', keysAcross, 3)]);
    const end = range?.end ?? length;
    const apart = node('apart', 'Concat', [this.shape([0, 0, this.#repeats, -1]), end], { axis: int(0) });
    const scoresApart = node('scores_5', 'Reshape', [scores, apart]);
    const masked = node('masked', 'Add', [scoresApart, this.#seen(mask)]);
    const probabilities = node('probabilities', 'Softmax', [masked], { axis: int(-1) });
    const together = node('together', 'Concat', [this.shape([0, 0, -1]), end], { axis: int(0) });
    this.shares = node('shares', 'Reshape', [probabilities, together]);
  }

  shape(elements: readonly number[]): string {
    return this.#emitter.constant('int64', [elements.length], elements);
  }

  /** The block's part of a tensor of the queries' shape. */
  ofBlock(label: string, tensor: string): string {
    if (this.#range === null) return tensor;
    const { start, end } = this.#range;
    return this.node(label, 'Slice', [tensor, start, end, this.shape([3])]);
  }

  /** What of a tensor with the keys along an axis lies before the block's end. */
  untilEnd(label: string, tensor: string, axis: number): string {
    if (this.#range === null) return tensor;
    return this.node(label, 'Slice', [tensor, this.shape([0]), this.#range.end, this.shape([axis])]);
  }

  /** [batch, groups, repeats, rows, size] → [batch, groups, repeats · rows, size] */
  together(label: string, tensor: string): string {
    return this.node(label, 'Reshape', [tensor, this.shape([0, 0, -1, this.#size])]);
  }

  /** [batch, groups, repeats · rows, size] → [batch, groups, repeats, rows, size] */
  apart(label: string, tensor: string): string {
    return this.node(label, 'Reshape', [tensor, this.shape([0, 0, this.#repeats, -1, this.#size])]);
  }

  #seen(mask: string): string {
    if (this.#range === null) return mask;
    const { start, end } = this.#range;
    const corner = this.node('first', 'Concat', [start, this.shape([0])], { axis: int(0) });
    const opposite = this.node('last', 'Concat', [end, end], { axis: int(0) });
    return this.node('mask', 'Slice', [mask, corner, opposite, this.shape([3, 4])]);
  }
}
