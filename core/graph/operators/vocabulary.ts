/** @file The loss over a large vocabulary, a part of the rows at a time, and of packed weights a part of the classes. */

import { mul, slice } from '../build.ts';
import type { Node } from '../graph.ts';
import { int, names, require, type EmittedNode, type Rules } from './rule.ts';

export const vocabulary: Rules<'VocabularyLoss'> = {
  // For each part of the rows, in a Loop whose state are the results so far:
  //
  //   logits = hidden Wᵀ,  p = softmax(logits)
  //   −log p(label) = max logits − log max p − logits[label]
  //   its gradient in hidden = (p − one-hot(label)) W = p W − W[label]
  //
  // The gradient of row i in the loss is that of its own entropy times dy_i, so it can be had before dy is known,
  // and neither logits nor probabilities of all rows ever lie in memory together. Nor does W where it is packed: both
  // products are taken a part of the classes at a time, for which that part is unpacked twice.
  VocabularyLoss: {
    infer: ([hidden, weight, labels, scale], { rows, differentiable }) => {
      require(hidden.shape.length === 2 && weight.shape.length === 2, 'rows and weights must be matrices');
      require(hidden.shape[1] === weight.shape[1], 'rows and weights differ in size');
      require(labels.shape[0] === hidden.shape[0] && labels.shape[1] === 1, 'one label a row is needed');
      require(labels.dataType === 'int32' || labels.dataType === 'int64', 'labels must be integers');
      require(rows > 0, 'a part must have rows');
      const size = hidden.shape[1];
      require(typeof size === 'number', 'the size of a row must be known');
      require(scale === undefined || scale.shape[0] === weight.shape[0], 'one scale a block is needed');
      return { dataType: hidden.dataType, shape: [hidden.shape[0], differentiable ? 1 + size : 1] };
    },
    // what is known of the gradient in hidden lies in the columns after the first
    gradient: [
      (dy, { output, inputs: [hidden], attributes: { differentiable } }) => {
        require(differentiable, 'the gradient was not asked for');
        const end = 1 + Number(hidden.shape[1]);
        return mul(slice(dy, 1, { start: 0, end: 1 }), slice(output, 1, { start: 1, end }));
      },
      null,
      null,
      null,
    ],
    emit: (node, emitter) => {
      const [hidden, weight, labels, scale] = names(node);
      const { rows, differentiable } = node.attributes;
      const width = Number(node.output.shape[1]);
      const type = node.output.dataType;
      const local = (label: string) => emitter.intermediate(label);
      const whole = (value: number) => emitter.constant('int64', [1], [value]);
      const scalar = (value: number) => emitter.constant('int64', [], [value]);

      const count = local('count');
      emitter.node({ type: 'Size', inputs: [labels], output: count });
      emitter.node({ type: 'Add', inputs: [count, scalar(rows - 1)], output: local('rounded') });
      emitter.node({ type: 'Div', inputs: [local('rounded'), scalar(rows)], output: local('parts') });

      const body: EmittedNode[] = [];
      const part = (
        label: string,
        kind: string,
        inputs: string[],
        attributes: EmittedNode['attributes'] = {},
      ) => {
        body.push({ type: kind, inputs, output: local(label), attributes });
        return local(label);
      };
      const keep = { keepdims: int(1) };
      const first = part('offset', 'Mul', [local('part'), scalar(rows)]);
      const start = part('start', 'Reshape', [first, whole(1)]);
      const end = part('end', 'Add', [start, whole(rows)]);
      const x = part('hidden', 'Slice', [hidden, start, end, whole(0)]);
      const label = part('labels', 'Slice', [labels, start, end, whole(0)]);
      const parts = scale === undefined ? null : partsOf(node);
      const unpacked = (name: string, values: string, scales: string) => {
        const block = Number(node.inputs[1].shape[1]) / Number(node.inputs[3].shape[1]);
        return part(name, 'DequantizeLinear', [values, scales], { axis: int(1), block_size: int(block) });
      };
      /** Classes of W as float32; `use` tells the part from that of another product. */
      const classes = (use: string, { start: from, end: to }: Range) => {
        const sliced = (name: string, tensor: string) =>
          part(`${use}_${name}_${from}`, 'Slice', [tensor, whole(from), whole(to), whole(0)]);
        return unpacked(`${use}_weight_${from}`, sliced('values', weight), sliced('scale', scale));
      };
      const logitsOf = (range: Range) =>
        part(`logits_${range.start}`, 'Gemm', [x, classes('forward', range)], { transB: int(1) });
      const logits = parts
        ? part('logits', 'Concat', parts.map(logitsOf), { axis: int(1) })
        : part('logits', 'Gemm', [x, weight], { transB: int(1) });
      const p = part('probabilities', 'Softmax', [logits], { axis: int(-1) });
      const logLikeliest = part('log', 'Log', [part('likeliest', 'ReduceMax', [p, whole(1)], keep)]);
      const maximum = part('maximum', 'ReduceMax', [logits, whole(1)], keep);
      const target = part('target', 'GatherElements', [logits, label], { axis: int(1) });
      const nll = part('loss', 'Sub', [part('log_sum', 'Sub', [maximum, logLikeliest]), target]);
      const gradient = () => {
        const meanOf = (range: Range) => {
          const shares = [p, whole(range.start), whole(range.end), whole(1)];
          const ofPart = part(`probabilities_${range.start}`, 'Slice', shares);
          return part(`mean_${range.start}`, 'Gemm', [ofPart, classes('backward', range)]);
        };
        const mean = parts ? part('mean', 'Sum', parts.map(meanOf)) : part('mean', 'Gemm', [p, weight]);
        const chosen = part('label', 'Reshape', [label, whole(-1)]);
        const own = part('own', 'Gather', [weight, chosen]);
        const ownScale = () => part('own_scale', 'Gather', [scale, chosen]);
        return part('gradient', 'Sub', [mean, parts ? unpacked('own_weight', own, ownScale()) : own]);
      };
      const made = differentiable ? part('made', 'Concat', [nll, gradient()], { axis: int(1) }) : nll;
      part('results', 'Concat', [local('so_far'), made], { axis: int(0) });
      part('again', 'Identity', [local('going')]);

      const results = { dataType: type, shape: ['so_far', width] } as const;
      emitter.node({
        type: 'Loop',
        inputs: [local('parts'), '', emitter.constant(type, [0, width], [])],
        output: node.output.name,
        attributes: {
          body: {
            kind: 'graph',
            value: {
              inputs: [
                { name: local('part'), dataType: 'int64', shape: [] },
                { name: local('going'), dataType: 'bool', shape: [] },
                { name: local('so_far'), ...results },
              ],
              nodes: body,
              outputs: [
                { name: local('again'), dataType: 'bool', shape: [] },
                { name: local('results'), ...results, shape: ['results', width] },
              ],
            },
          },
        },
      });
    },
  },
};

/** Classes [start, end). */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The parts in which a packed weight is unpacked. */
function partsOf({ inputs: [, weight], attributes }: Node<'VocabularyLoss'>): Range[] {
  const all = Number(weight.shape[0]);
  const { classes } = attributes;
  return Array.from({ length: Math.ceil(all / classes) }, (_, at) => ({
    start: at * classes,
    end: Math.min(all, (at + 1) * classes),
  }));
}
