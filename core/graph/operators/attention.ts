/** @file Causal attention, a block of its queries at a time, so that its scores never lie in memory together. */

import { causalAttentionGradient, slice, reshape } from '../build.ts';
import type { DataType, Node, Value } from '../graph.ts';
import { int, ints, names, require, type EmittedNode, type Emitter, type Rules } from './rule.ts';

type Attention = 'CausalAttention' | 'CausalAttentionGradient';

export const attention: Rules<Attention> = {
  // For each block of the queries, in a Loop whose state are the results so far, with the keys and values up to its end:
  //
  //   P = softmax(Q Kᵀ + mask),  y = P V
  //
  // as Dao et al. (2022, arXiv 2205.14135) do within a processor's cache; what lies behind a block is not even computed.
  CausalAttention: {
    infer: (inputs) => {
      const [query] = inputs;
      checkShapes(inputs);
      return { dataType: query.dataType, shape: query.shape };
    },
    gradient: (dy, { inputs, attributes }, index) => {
      if (index === 3) throw new Error('a mask has no gradient');
      const [query, keys] = inputs;
      const all = causalAttentionGradient(dy, inputs, attributes);
      const repeats = Number(query.shape[2]);
      const [start, end] = [
        [0, repeats],
        [repeats, repeats + 1],
        [repeats + 1, repeats + 2],
      ][index];
      const part = slice(all, 2, { start, end });
      return index === 0 ? part : reshape(part, keys.shape);
    },
    emit: (node, emitter) => {
      const block = createBlock(node, emitter);
      const { part, shape, size } = block;
      const { shares, untilEnd } = block.shares();
      const mixed = part('mixed', 'MatMul', [shares, part('values', 'Slice', untilEnd(names(node)[2], 2))]);
      const rows = part('rows', 'Reshape', [mixed, shape([0, 0, size.repeats, -1, size.head])]);
      block.loop([{ name: 'y', start: block.empty(), next: block.appended('y', rows) }], node.output.name);
    },
  },

  // With P as above, computed again, and D = Σ over keys of dP P, for each block:
  //
  //   dP = dY Vᵀ,  dS = P (dP − D),  dQ = dS K,  dK += dSᵀ Q,  dV += Pᵀ dY
  CausalAttentionGradient: {
    infer: ([dy, ...inputs]) => {
      checkShapes(inputs);
      const [batch, groups, repeats, length, size] = dy.shape;
      return { dataType: dy.dataType, shape: [batch, groups, Number(repeats) + 2, length, size] };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [dy, , keys, values] = names(node);
      const forward = { ...node, inputs: node.inputs.slice(1) };
      const block = createBlock(forward, emitter);
      const { local, part, shape, size } = block;
      const { shares, queries, untilEnd } = block.shares();
      const outer = (label: string, type: string, inputs: string[], attributes = {}) => {
        emitter.node({ type, inputs, output: local(label), attributes });
        return local(label);
      };
      const given = part('given', 'Reshape', [
        part('dy', 'Slice', block.ofBlock(dy, 3)),
        shape([0, 0, -1, size.head]),
      ]);
      const valuesAcross = outer('values_across', 'Transpose', [values], { perm: ints(LAST_SWAPPED) });
      const dShares = part('d_shares', 'MatMul', [given, part('values', 'Slice', untilEnd(valuesAcross, 3))]);
      const weighted = part('weighted', 'Mul', [dShares, shares]);
      const mean = part('mean', 'ReduceSum', [weighted, shape([-1])], { keepdims: int(1) });
      const dScores = part('d_scores', 'Mul', [shares, part('centred', 'Sub', [dShares, mean])]);

      const dQuery = part('d_query', 'MatMul', [dScores, part('keys', 'Slice', untilEnd(keys, 2))]);
      const dRows = part('d_rows', 'Reshape', [dQuery, shape([0, 0, size.repeats, -1, size.head])]);
      const behind = part('behind', 'Sub', [block.length, block.end]);
      const padding = part('padding', 'Concat', [shape([0, 0, 0, 0, 0, 0, 0]), behind], { axis: int(0) });
      /** total + leftᵀ · right, with zeros behind the block's end. */
      const added = (label: string, left: string, right: string) => {
        const across = part(`${label}_across`, 'Transpose', [left], { perm: ints(LAST_SWAPPED) });
        const product = part(`${label}_product`, 'MatMul', [across, right]);
        const padded = part(`${label}_padded`, 'Pad', [product, padding]);
        return part(`${label}_next`, 'Add', [local(label), padded]);
      };
      const extent = outer('extent', 'Shape', [valuesAcross]);
      const zeros = outer('zeros', 'Expand', [emitter.constant(node.output.dataType, [], [0]), extent]);
      const states = [
        { name: 'd_queries', start: block.empty(), next: block.appended('d_queries', dRows) },
        { name: 'd_keys', start: zeros, next: added('d_keys', queries, dScores) },
        { name: 'd_values', start: zeros, next: added('d_values', given, shares) },
      ];
      block.loop(states, local('queries'));
      const upright = (label: string, of: string) =>
        outer(label, 'Unsqueeze', [
          outer(`${label}_4`, 'Transpose', [of], { perm: ints(LAST_SWAPPED) }),
          shape([2]),
        ]);
      emitter.node({
        type: 'Concat',
        inputs: [
          local('queries'),
          upright('keys_5', `${local('queries')}/d_keys`),
          upright('values_5', `${local('queries')}/d_values`),
        ],
        output: node.output.name,
        attributes: { axis: int(2) },
      });
    },
  },
};

const LAST_SWAPPED = [0, 1, 3, 2];

function checkShapes([query, keys, values, mask]: readonly Value[]): void {
  const [batch, groups, repeats, length, size] = query.shape;
  require(query.shape.length === 5 && typeof repeats === 'number', 'queries must have five axes');
  require(typeof size === 'number', 'the size of a head must be known');
  const expected = [batch, groups, length, size].join();
  require(keys.shape.join() === expected, 'keys do not fit the queries');
  require(values.shape.join() === expected, 'values do not fit the queries');
  require(mask.shape.join() === [batch, 1, 1, length, length].join(), 'the mask does not fit the queries');
}

/** A result that grows or is added to from block to block. */
interface State {
  readonly name: string;
  /** Before the first block. */
  readonly start: string;
  /** After a block; computed in the loop's body from the value of the state's own name. */
  readonly next: string;
}

/** What forward and backward pass do alike for a block of the queries; `node` has the inputs of the forward one. */
function createBlock(node: Pick<Node<Attention>, 'inputs' | 'attributes' | 'output'>, emitter: Emitter) {
  const [query, keys, , mask] = names(node);
  const { rows: rowsOfBlock } = node.attributes;
  const repeats = Number(node.inputs[0].shape[2]);
  const head = Number(node.inputs[0].shape[4]);
  const dataType: DataType = node.output.dataType;
  const local = (label: string) => emitter.intermediate(label);
  const shape = (elements: readonly number[]) => emitter.constant('int64', [elements.length], elements);
  const scalar = (value: number) => emitter.constant('int64', [], [value]);
  const outer = (
    label: string,
    type: string,
    inputs: string[],
    attributes: EmittedNode['attributes'] = {},
  ) => {
    emitter.node({ type, inputs, output: local(label), attributes });
    return local(label);
  };
  const body: EmittedNode[] = [];
  const part = (
    label: string,
    type: string,
    inputs: string[],
    attributes: EmittedNode['attributes'] = {},
  ) => {
    const output = local(`block_${label}`);
    body.push({ type, inputs, output, attributes });
    return output;
  };

  const length = outer('length', 'Shape', [keys], { start: int(2), end: int(3) });
  const rounded = outer('rounded', 'Add', [length, scalar(rowsOfBlock - 1)]);
  const blocks = outer('blocks', 'Div', [rounded, scalar(rowsOfBlock)]);
  const count = outer('count', 'Squeeze', [blocks]);
  const keysAcross = outer('keys_across', 'Transpose', [keys], { perm: ints(LAST_SWAPPED) });

  const number = part('number', 'Reshape', [local('block'), shape([1])]);
  const start = part('start', 'Mul', [number, shape([rowsOfBlock])]);
  const end = part('end', 'Min', [part('limit', 'Add', [start, shape([rowsOfBlock])]), length]);
  const ofBlock = (tensor: string, axis: number) => [tensor, start, end, shape([axis])];
  const untilEnd = (tensor: string, axis: number) => [tensor, shape([0]), end, shape([axis])];

  return {
    local,
    part,
    shape,
    size: { repeats, head },
    /** int64 [1]: tokens of a text, and where the block ends. */
    length,
    end,
    ofBlock,
    /** P of the block [batch, groups, repeats · rows, end], and its queries as rows. */
    shares() {
      const block = part('queries', 'Slice', ofBlock(query, 3));
      const queries = part('query_rows', 'Reshape', [block, shape([0, 0, -1, head])]);
      const scores = part('scores', 'MatMul', [
        queries,
        part('keys_across', 'Slice', untilEnd(keysAcross, 3)),
      ]);
      const apart = part('apart', 'Concat', [shape([0, 0, repeats, -1]), end], { axis: int(0) });
      const corner = [mask, part('first', 'Concat', [start, shape([0])], { axis: int(0) })];
      const opposite = part('last', 'Concat', [end, end], { axis: int(0) });
      const seen = part('mask', 'Slice', [...corner, opposite, shape([3, 4])]);
      const masked = part('masked', 'Add', [part('scores_5', 'Reshape', [scores, apart]), seen]);
      const probabilities = part('probabilities', 'Softmax', [masked], { axis: int(-1) });
      const together = part('together', 'Concat', [shape([0, 0, -1]), end], { axis: int(0) });
      return { shares: part('shares', 'Reshape', [probabilities, together]), queries, untilEnd };
    },
    /** A state without queries, like theirs. */
    empty: () => outer('empty', 'Slice', [query, shape([0]), shape([0]), shape([3])]),
    /** A state with the block's queries after those before. */
    appended: (state: string, block: string) =>
      part(`${state}_next`, 'Concat', [local(state), block], { axis: int(3) }),
    /** Goes through the blocks. The first state ends as `output`, the others as names below it. */
    loop(states: readonly State[], output: string) {
      const axes = (name: string) =>
        node.inputs[0].shape
          .slice(0, name === states[0].name ? 5 : 4)
          .map((_, axis) => `${local(name)}_${axis}`);
      const info = (name: string, label: string) => ({ name, dataType, shape: axes(label) });
      part('going', 'Identity', [local('going')]);
      const [, ...others] = states.map(({ name }) => `${output}/${name}`);
      emitter.node({
        type: 'Loop',
        inputs: [count, '', ...states.map((state) => state.start)],
        output,
        others,
        attributes: {
          body: {
            kind: 'graph',
            value: {
              inputs: [
                { name: local('block'), dataType: 'int64', shape: [] },
                { name: local('going'), dataType: 'bool', shape: [] },
                ...states.map(({ name }) => info(local(name), name)),
              ],
              nodes: body,
              outputs: [
                { name: local('block_going'), dataType: 'bool', shape: [] },
                ...states.map(({ name, next }) => ({
                  ...info(next, name),
                  shape: axes(name).map((axis) => `${axis}_next`),
                })),
              ],
            },
          },
        },
      });
    },
  };
}
