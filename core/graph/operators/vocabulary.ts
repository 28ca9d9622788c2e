/** @file The loss over a large vocabulary, a part of the rows at a time, and of packed weights a part of the classes. */

import { mul, slice } from '../build.ts';
import { sameShape, type Dimension } from '../dimension.ts';
import type { Node, Value } from '../graph.ts';
import { codesProduct, zeroCode } from './codes.ts';
import { int, names, require, type EmittedNode, type Emitter, type Rules } from './rule.ts';

type LossOperator = 'VocabularyLoss' | 'IntegerVocabularyLoss';

// For each part of the rows, in a Loop whose state are the results so far:
//
//   logits = hidden Wᵀ,  p = softmax(logits)
//   −log p(label) = max logits − log max p − logits[label]
//   its gradient in hidden = (p − one-hot(label)) W = p W − W[label]
//
// The gradient of row i in the loss is that of its own entropy times dy_i, so it can be had before dy is known,
// and neither logits nor probabilities of all rows ever lie in memory together.
export const vocabulary: Rules<LossOperator> = {
  // Nor does W where it is packed: both products are taken a part of the classes at a time, for which that part is
  // unpacked twice.
  VocabularyLoss: {
    infer: ([hidden, weight, labels, scale], attributes) => {
      require(scale === undefined || scale.shape[0] === weight.shape[0], 'one scale a block is needed');
      require(weight.shape.length === 2, 'the weight must be a matrix');
      return resultOf({ hidden, labels, size: weight.shape[1] }, attributes);
    },
    gradient: [gradientInHidden, null, null, null],
    emit: (node, emitter) => {
      const [hidden, weight, labels, scale] = names(node);
      overParts(node, emitter, (part) => {
        const x = part.rowsOf('hidden', hidden);
        const label = part.rowsOf('labels', labels);
        const ranges = scale === undefined ? null : partsOf(node);
        /** Classes of W as float32; `use` tells the part from that of another product. */
        const classes = (use: string, { start, end }: Range) => {
          const sliced = (name: string, tensor: string) =>
            part.add(`${use}_${name}_${start}`, 'Slice', [
              tensor,
              part.whole(start),
              part.whole(end),
              part.whole(0),
            ]);
          const blocks = [sliced('values', weight), sliced('scale', scale)];
          return unpacked(part, `${use}_weight_${start}`, { blocks, of: node.inputs });
        };
        const logitsOf = (range: Range) =>
          part.add(`logits_${range.start}`, 'Gemm', [x, classes('forward', range)], { transB: int(1) });
        const logits = ranges
          ? part.add('logits', 'Concat', ranges.map(logitsOf), { axis: int(1) })
          : part.add('logits', 'Gemm', [x, weight], { transB: int(1) });
        const { p, nll } = entropy(part, logits, label);
        if (!node.attributes.differentiable) return nll;
        const meanOf = (range: Range) => {
          const shares = [p, part.whole(range.start), part.whole(range.end), part.whole(1)];
          const ofPart = part.add(`probabilities_${range.start}`, 'Slice', shares);
          return part.add(`mean_${range.start}`, 'Gemm', [ofPart, classes('backward', range)]);
        };
        const mean = ranges
          ? part.add('mean', 'Sum', ranges.map(meanOf))
          : part.add('mean', 'Gemm', [p, weight]);
        const chosen = part.add('label', 'Reshape', [label, part.whole(-1)]);
        const rows = part.add('own', 'Gather', [weight, chosen]);
        const blocks = () => [rows, part.add('own_scale', 'Gather', [scale, chosen])];
        const own = ranges ? unpacked(part, 'own_weight', { blocks: blocks(), of: node.inputs }) : rows;
        return withGradient(part, { nll, mean, own });
      });
    },
  },

  // logits from codes of hidden and W, and p W from codes of p in two steps, for most of the classes have a
  // thousandth of the likeliest one's probability and less. With e = p / max p:
  //
  //   fine = min(round(255² e), 255),  coarse = max(round(255 e) − 1, 0),  e ≈ coarse / 255 + fine / 255²
  //
  // W[label] is read from the codes too, or their errors would be left where p(label) is nearly one. No sum of 32 bits
  // overflows, though there may be 150 000 classes: the codes of a column, of W less its mean, sum to nearly nothing.
  IntegerVocabularyLoss: {
    infer: ([hidden, codes, largest, labels, values, columns, backValues, backColumns], attributes) => {
      const [size, classes] = values.shape;
      require(codes.dataType === 'uint8' && largest.shape[1] === 1, 'codes and one number a row are needed');
      require(sameShape(backValues.shape, [classes, size]), 'the matrices have different shapes');
      require(columns.shape[0] === classes && backColumns.shape[0] === size, 'one scale a column is needed');
      return resultOf({ hidden, labels, size }, attributes);
    },
    gradient: [gradientInHidden, null, null, null, null, null, null, null],
    emit: (node, emitter) => {
      const [, codes, largest, labels, values, columns, backValues, backColumns] = names(node);
      const { limit, differentiable } = node.attributes;
      overParts(node, emitter, (part) => {
        const label = part.rowsOf('labels', labels);
        const x = { codes: part.rowsOf('codes', codes), zero: zeroCode(limit), step: 1 / limit };
        const product = part.put('product', codesProduct(emitter, { ...x, values, columns }));
        const logits = part.add('logits', 'Mul', [product, part.rowsOf('largest', largest)]);
        const { p, likeliest, nll } = entropy(part, logits, label);
        if (!differentiable) return nll;

        const inSteps = (name: string, step: number) => {
          const steps = part.add(`${name}_step`, 'Mul', [likeliest, emitter.constant('float32', [], [step])]);
          const ofRow = part.add(`${name}_steps`, 'Reshape', [steps, part.whole(-1)]);
          return part.add(name, 'QuantizeLinear', [p, ofRow], { axis: int(0) });
        };
        const back = { zero: 0, values: backValues, columns: backColumns };
        const meanOf = (name: string, factor: { codes: string; step: number }) =>
          part.put(name, codesProduct(emitter, { ...back, ...factor }));
        const coarse = lessOne(part, emitter, inSteps('rounded', COARSE));
        const fine = inSteps('fine', COARSE ** 2);
        const means = [
          meanOf('mean_coarse', { codes: coarse, step: COARSE }),
          meanOf('mean_fine', { codes: fine, step: COARSE ** 2 }),
        ];
        const mean = part.add('mean', 'Mul', [part.add('means', 'Add', means), likeliest]);
        const chosen = part.add('label', 'Reshape', [label, part.whole(-1)]);
        const own = [part.add('own_codes', 'Gather', [backValues, chosen]), backColumns];
        const ownRows = part.add('own', 'DequantizeLinear', own, { axis: int(1) });
        return withGradient(part, { nll, mean, own: ownRows });
      });
    },
  },
};

/** The larger step of probabilities in codes, of the likeliest one. */
const COARSE = 1 / 255;

/** Codes without sign, each less one where it is not zero. */
function lessOne(part: Part, emitter: Emitter, codes: string): string {
  const one = emitter.constant('float32', [], [1]);
  const point = (value: number) => emitter.constant('uint8', [], [value]);
  const minusOne = [emitter.constant('uint8', [1], [0]), one, point(1)];
  return part.put('coarse', {
    type: 'QLinearAdd',
    domain: 'com.microsoft',
    inputs: [codes, one, point(0), ...minusOne, one, point(0)],
  });
}

function resultOf(
  { hidden, labels, size }: { hidden: Value; labels: Value; size: Dimension },
  { rows, differentiable }: { readonly rows: number; readonly differentiable: boolean },
): Pick<Value, 'dataType' | 'shape'> {
  require(sameShape(hidden.shape, [hidden.shape[0], size]), 'rows and weights differ in size');
  require(sameShape(labels.shape, [hidden.shape[0], 1]), 'one label a row is needed');
  require(labels.dataType === 'int32' || labels.dataType === 'int64', 'labels must be integers');
  require(rows > 0, 'a part must have rows');
  require(typeof size === 'number', 'the size of a row must be known');
  return { dataType: hidden.dataType, shape: [hidden.shape[0], differentiable ? 1 + size : 1] };
}

/** What is known of the gradient in hidden lies in the columns after the first. */
function gradientInHidden(
  dy: Value,
  { output, inputs: [hidden], attributes: { differentiable } }: Node<LossOperator>,
): Value {
  require(differentiable, 'the gradient was not asked for');
  const end = 1 + Number(hidden.shape[1]);
  return mul(slice(dy, 1, { start: 0, end: 1 }), slice(output, 1, { start: 1, end }));
}

/** The nodes of one part of the rows. */
interface Part {
  /** Adds a node; its result has the label's name. */
  add(label: string, type: string, inputs: string[], attributes?: EmittedNode['attributes']): string;
  put(label: string, node: Omit<EmittedNode, 'output'>): string;
  /** The part's rows of a tensor. */
  rowsOf(label: string, tensor: string): string;
  /** int64 [1] */
  whole(value: number): string;
}

/** Emits the loop over the parts of the rows; `make` gives the result's rows of one. */
function overParts(node: Node<LossOperator>, emitter: Emitter, make: (part: Part) => string): void {
  const { rows } = node.attributes;
  const labels = node.inputs[node.operator === 'VocabularyLoss' ? 2 : 3].name;
  const width = Number(node.output.shape[1]);
  const type = node.output.dataType;
  const local = (label: string) => emitter.intermediate(label);
  const whole = (value: number) => emitter.constant('int64', [1], [value]);
  const scalar = (value: number) => emitter.constant('int64', [], [value]);

  const count = local('count');
  emitter.node({ type: 'Size', inputs: [labels], output: count });
  emitter.node({ type: 'Add', inputs: [count, scalar(rows - 1)], output: local('rounded_up') });
  emitter.node({ type: 'Div', inputs: [local('rounded_up'), scalar(rows)], output: local('parts') });

  const body: EmittedNode[] = [];
  const put = (label: string, emitted: Omit<EmittedNode, 'output'>) => {
    body.push({ ...emitted, output: local(label) });
    return local(label);
  };
  const add: Part['add'] = (label, kind, inputs, attributes = {}) =>
    put(label, { type: kind, inputs, attributes });
  const start = add('start', 'Reshape', [add('offset', 'Mul', [local('part'), scalar(rows)]), whole(1)]);
  const end = add('end', 'Add', [start, whole(rows)]);
  const rowsOf = (label: string, tensor: string) => add(label, 'Slice', [tensor, start, end, whole(0)]);
  const made = make({ add, put, rowsOf, whole });
  add('results', 'Concat', [local('so_far'), made], { axis: int(0) });
  add('again', 'Identity', [local('going')]);

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
}

/** p, its largest of each row, and −log p(label). */
function entropy(part: Part, logits: string, label: string): { p: string; likeliest: string; nll: string } {
  const keep = { keepdims: int(1) };
  const p = part.add('probabilities', 'Softmax', [logits], { axis: int(-1) });
  const likeliest = part.add('likeliest', 'ReduceMax', [p, part.whole(1)], keep);
  const maximum = part.add('maximum', 'ReduceMax', [logits, part.whole(1)], keep);
  const logSum = part.add('log_sum', 'Sub', [maximum, part.add('log', 'Log', [likeliest])]);
  const target = part.add('target', 'GatherElements', [logits, label], { axis: int(1) });
  return { p, likeliest, nll: part.add('loss', 'Sub', [logSum, target]) };
}

/** Rows of a packed W and the scales of their blocks as float32. */
function unpacked(
  part: Part,
  label: string,
  { blocks, of: [, weight, , scale] }: { blocks: string[]; of: readonly Value[] },
): string {
  const block = Number(weight.shape[1]) / Number(scale.shape[1]);
  return part.add(label, 'DequantizeLinear', blocks, { axis: int(1), block_size: int(block) });
}

/** −log p(label) and its gradient in hidden, side by side. */
function withGradient(part: Part, { nll, mean, own }: { nll: string; mean: string; own: string }): string {
  return part.add('made', 'Concat', [nll, part.add('gradient', 'Sub', [mean, own])], { axis: int(1) });
}

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
