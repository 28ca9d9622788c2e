/** @file Operators that move elements without computing. */

import {
  reshape,
  scatterAdd,
  gather,
  pick,
  pickAdd,
  slice,
  transpose,
  zerosLike,
  concat,
  mul,
  scalarLike,
} from '../build.ts';
import {
  broadcast,
  normalizeAxis,
  product,
  sameShape,
  sum,
  type Dimension,
  type Shape,
} from '../dimension.ts';
import type { Value } from '../graph.ts';
import { int, ints, names, ONNX_DATA_TYPES, plain, require, text, type Emitter, type Rules } from './rule.ts';

/** ONNX Reshape's target: 0 copies the input's size of that axis, −1 stands for what is left, if that tells all. */
function reshapeTarget(from: Shape, to: Shape): number[] | null {
  const target = to.map((size, axis) => (typeof size === 'number' ? size : size === from[axis] ? 0 : -1));
  return target.filter((size) => size === -1).length <= 1 ? target : null;
}

function emitSlice(
  emitter: Emitter,
  input: string,
  slice: { output: string; axis: number; start: number; end: number },
) {
  const constant = (value: number) => emitter.constant('int64', [1], [value]);
  emitter.node({
    type: 'Slice',
    inputs: [input, constant(slice.start), constant(slice.end), constant(slice.axis)],
    output: slice.output,
  });
}

/** Size of an axis that must be a number, because a gradient has to be cut there. */
function knownSize(value: Value, axis: number): number {
  const size = value.shape[axis];
  require(typeof size === 'number', `axis ${axis} of ${value.name} has no fixed size`);
  return size;
}

function requireIndices({ dataType }: Value): void {
  require(dataType === 'int32' || dataType === 'int64', 'indices must be int32 or int64');
}

type Layout =
  | 'Transpose'
  | 'Reshape'
  | 'Concat'
  | 'Slice'
  | 'ExpandLike'
  | 'ZerosLike'
  | 'After'
  | 'Gather'
  | 'ScatterAdd'
  | 'Pick'
  | 'PickAdd';

export const layout: Rules<Layout> = {
  Transpose: {
    infer: ([x], { permutation }) => {
      const sorted = [...permutation].sort((a, b) => a - b);
      require(permutation.length === x.shape.length &&
        sorted.every(
          (axis, index) => axis === index,
        ), `[${permutation.join(', ')}] is no permutation of ${x.shape.length} axes`);
      return { dataType: x.dataType, shape: permutation.map((axis) => x.shape[axis]) };
    },
    gradient: [
      (dy, { attributes: { permutation } }) =>
        transpose(
          dy,
          permutation.map((_, axis) => permutation.indexOf(axis)),
        ),
    ],
    emit: (node, emitter) =>
      emitter.node({
        type: 'Transpose',
        inputs: names(node),
        output: node.output.name,
        attributes: { perm: ints(node.attributes.permutation) },
      }),
  },

  Reshape: {
    infer: ([x], { shape }) => {
      require(product(x.shape) === product(shape), `cannot become [${shape.join(', ')}]`);
      return { dataType: x.dataType, shape };
    },
    gradient: [(dy, { inputs: [x] }) => reshape(dy, x.shape)],
    emit: (node, emitter) => {
      const target = reshapeTarget(node.inputs[0].shape, node.attributes.shape);
      emitter.node({
        type: 'Reshape',
        inputs: [
          node.inputs[0].name,
          target ? emitter.constant('int64', [target.length], target) : emitter.shape(node.attributes.shape),
        ],
        output: node.output.name,
      });
    },
  },

  Concat: {
    infer: (parts, { axis }) => {
      const at = normalizeAxis(axis, parts[0].shape.length);
      const shape = parts[0].shape.map((size, index): Dimension => {
        if (index === at) return parts.map((part) => part.shape[at]).reduce(sum);
        require(parts.every((part) => part.shape[index] === size), `sizes of axis ${index} differ`);
        return size;
      });
      return { dataType: parts[0].dataType, shape };
    },
    gradient: (dy, { inputs, attributes: { axis } }, index) => {
      const at = normalizeAxis(axis, inputs[0].shape.length);
      const start = inputs.slice(0, index).reduce((total, part) => total + knownSize(part, at), 0);
      return slice(dy, at, { start, end: start + knownSize(inputs[index], at) });
    },
    emit: (node, emitter) =>
      emitter.node({
        type: 'Concat',
        inputs: names(node),
        output: node.output.name,
        attributes: { axis: int(node.attributes.axis) },
      }),
  },

  Slice: {
    infer: ([x], { axis, start, end }) => {
      const at = normalizeAxis(axis, x.shape.length);
      const size = knownSize(x, at);
      require(0 <= start &&
        start < end &&
        end <= size, `[${start}, ${end}) lies outside axis ${at} of size ${size}`);
      return {
        dataType: x.dataType,
        shape: x.shape.map((dimension, index) => (index === at ? end - start : dimension)),
      };
    },
    // zeros around the slice
    gradient: [
      (dy, { inputs: [x], attributes: { axis, start, end } }) => {
        const at = normalizeAxis(axis, x.shape.length);
        const size = knownSize(x, at);
        const zeros = (from: number, to: number) =>
          from === to ? [] : [mul(slice(x, at, { start: from, end: to }), scalarLike(x, 0))];
        return concat([...zeros(0, start), dy, ...zeros(end, size)], at);
      },
    ],
    emit: (node, emitter) =>
      emitSlice(emitter, node.inputs[0].name, { output: node.output.name, ...node.attributes }),
  },

  // like ─ Shape ─┐
  // x ────────────┴ Expand ─ output
  ExpandLike: {
    infer: ([x, like]) => {
      require(sameShape(
        broadcast(x.shape, like.shape),
        like.shape,
      ), 'the first does not broadcast to the second');
      return { dataType: x.dataType, shape: like.shape };
    },
    gradient: [(dy) => dy, null],
    emit: (node, emitter) => {
      const shape = emitter.intermediate('shape');
      emitter.node({ type: 'Shape', inputs: [node.inputs[1].name], output: shape });
      emitter.node({ type: 'Expand', inputs: [node.inputs[0].name, shape], output: node.output.name });
    },
  },

  // x ─ Shape ─┐
  // 0 ─────────┴ Expand ─ output
  ZerosLike: {
    infer: ([x]) => ({ dataType: x.dataType, shape: x.shape }),
    gradient: [null],
    emit: (node, emitter) => {
      const shape = emitter.intermediate('shape');
      emitter.node({ type: 'Shape', inputs: names(node), output: shape });
      emitter.node({
        type: 'Expand',
        inputs: [emitter.constant(node.output.dataType, [], [0]), shape],
        output: node.output.name,
      });
    },
  },

  // earlier ─ Size ─ Mul(0) ─┐
  // x ─ Shape ───────────────┴ Add ─┐     nothing but the order depends on `earlier`, and a Reshape
  // x ──────────────────────────────┴ Reshape ─ output           copies nothing
  After: {
    infer: ([x]) => ({ dataType: x.dataType, shape: x.shape }),
    gradient: [(dy) => dy, null],
    emit: (node, emitter) => {
      const [x, earlier] = names(node);
      const part = (label: string, type: string, inputs: string[]) => {
        const output = emitter.intermediate(label);
        emitter.node({ type, inputs, output });
        return output;
      };
      const size = part('size', 'Size', [earlier]);
      const zero = part('zero', 'Mul', [size, emitter.constant('int64', [], [0])]);
      const shape = part('waiting_shape', 'Add', [part('shape', 'Shape', [x]), zero]);
      emitter.node({ type: 'Reshape', inputs: [x, shape], output: node.output.name });
    },
  },

  Gather: {
    infer: ([table, indices]) => {
      requireIndices(indices);
      return { dataType: table.dataType, shape: [...indices.shape, ...table.shape.slice(1)] };
    },
    // rows taken more than once add up
    gradient: [
      (dy, { inputs: [table, indices] }) => {
        const count = product(indices.shape);
        return scatterAdd(
          zerosLike(table),
          reshape(indices, [count]),
          reshape(dy, [count, ...table.shape.slice(1)]),
        );
      },
      null,
    ],
    emit: plain,
  },

  // indices ─ Reshape [n, 1] ─ Cast ─┐          ScatterND knows int64 alone, while GPUs reshape int32 alone
  // x, updates ──────────────────────┴ ScatterND(add) ─ output
  ScatterAdd: {
    infer: ([x, indices, updates]) => {
      requireIndices(indices);
      require(indices.shape.length === 1, 'indices must be a row');
      require(sameShape(updates.shape, [
        indices.shape[0],
        ...x.shape.slice(1),
      ]), `updates must have the shape [${[indices.shape[0], ...x.shape.slice(1)].join(', ')}]`);
      return { dataType: x.dataType, shape: x.shape };
    },
    gradient: [(dy) => dy, null, (dy, { inputs: [, indices] }) => gather(dy, indices)],
    emit: (node, emitter) => {
      const [x, indices, updates] = names(node);
      const column = emitter.intermediate('indices');
      emitter.node({
        type: 'Reshape',
        inputs: [indices, emitter.constant('int64', [2], [-1, 1])],
        output: column,
      });
      let wide = column;
      if (node.inputs[1].dataType === 'int32') {
        wide = emitter.intermediate('int64');
        const attributes = { to: int(ONNX_DATA_TYPES.int64) };
        emitter.node({ type: 'Cast', inputs: [column], output: wide, attributes });
      }
      emitter.node({
        type: 'ScatterND',
        inputs: [x, wide, updates],
        output: node.output.name,
        attributes: { reduction: text('add') },
      });
    },
  },

  Pick: {
    infer: ([x, indices]) => {
      requireIndices(indices);
      require(x.shape.length === 2 && sameShape(indices.shape, [x.shape[0], 1]), 'one index a row is needed');
      return { dataType: x.dataType, shape: indices.shape };
    },
    gradient: [(dy, { inputs: [x, indices] }) => pickAdd(zerosLike(x), indices, dy), null],
    emit: (node, emitter) =>
      emitter.node({
        type: 'GatherElements',
        inputs: names(node),
        output: node.output.name,
        attributes: { axis: int(1) },
      }),
  },

  PickAdd: {
    infer: ([x, indices, updates]) => {
      requireIndices(indices);
      require(sameShape(indices.shape, [x.shape[0], 1]) &&
        sameShape(updates.shape, indices.shape), 'one a row is needed');
      return { dataType: x.dataType, shape: x.shape };
    },
    gradient: [(dy) => dy, null, (dy, { inputs: [, indices] }) => pick(dy, indices)],
    emit: (node, emitter) =>
      emitter.node({
        type: 'ScatterElements',
        inputs: names(node),
        output: node.output.name,
        attributes: { axis: int(1), reduction: text('add') },
      }),
  },
};
