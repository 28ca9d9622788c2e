/** @file Products in whole numbers with a frozen matrix, each row with a scale of its own. */

import { integerProduct, largestOfRows, quantizeRows, rotateBlocks } from '../build.ts';
import { sameShape } from '../dimension.ts';
import { codesProduct, zeroCode } from './codes.ts';
import { int, names, require, type Rules } from './rule.ts';

/** Keeps a row of zeros from being divided by zero. */
const SMALLEST = 1e-30;

export const integer: Rules<'LargestOfRows' | 'QuantizeRows' | 'IntegerProduct'> = {
  // max |x| of each row
  LargestOfRows: {
    infer: ([x]) => {
      require(x.shape.length === 2 && x.dataType === 'float32', 'x must be a matrix of float32');
      return { dataType: 'float32', shape: [x.shape[0], 1] };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [x] = names(node);
      const axes = emitter.constant('int64', [1], [1]);
      const part = (label: string, type: string, inputs: string[], attributes = {}) => {
        const output = emitter.intermediate(label);
        emitter.node({ type, inputs, output, attributes });
        return output;
      };
      const keep = { keepdims: int(1) };
      const opposite = part('opposite', 'Neg', [part('lowest', 'ReduceMin', [x, axes], keep)]);
      const highest = part('highest', 'ReduceMax', [x, axes], keep);
      const smallest = emitter.constant('float32', [], [SMALLEST]);
      emitter.node({ type: 'Max', inputs: [highest, opposite, smallest], output: node.output.name });
    },
  },

  // round(limit x / largest) + limit + 1
  QuantizeRows: {
    infer: ([x, largest]) => {
      require(sameShape(largest.shape, [x.shape[0], 1]), 'one number a row is needed');
      return { dataType: 'uint8', shape: x.shape };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [x, largest] = names(node);
      const shares = emitter.intermediate('shares');
      emitter.node({ type: 'Div', inputs: [x, largest], output: shares });
      const { limit } = node.attributes;
      const step = emitter.constant('float32', [], [1 / limit]);
      const zero = emitter.constant('uint8', [], [zeroCode(limit)]);
      emitter.node({ type: 'QuantizeLinear', inputs: [shares, step, zero], output: node.output.name });
    },
  },

  // y[i, j] = largest[i] · columns[j] / limit · Σ (codes[i, k] − limit − 1) values[k, j]
  //
  // x itself takes no part but for its gradient, which is a product of the same kind with the other layout of W:
  // dx = dy W, dy with scales of its own rows, and rotated before where there is a rotation R of blocks: dx = (dy R)(Rᵀ W).
  IntegerProduct: {
    infer: ([x, codes, largest, values, columns, backValues, backColumns]) => {
      const [into, out] = values.shape;
      require(codes.dataType === 'uint8' && sameShape(codes.shape, x.shape), 'one code an element is needed');
      require(values.dataType === 'int8' && backValues.dataType === 'int8', 'the matrix must be of codes');
      require(sameShape(largest.shape, [x.shape[0], 1]), 'one number a row is needed');
      require(x.shape[1] === into &&
        sameShape(backValues.shape, [out, into]), 'the matrix has another shape');
      require(sameShape(columns.shape, [out]) &&
        sameShape(backColumns.shape, [into]), 'one scale a column is needed');
      return { dataType: 'float32', shape: [x.shape[0], out] };
    },
    gradient: [
      (dy, { inputs: [, , , values, columns, backValues, backColumns, rotation], attributes: { limit } }) => {
        const rows = rotation ? rotateBlocks(dy, rotation) : dy;
        const largest = largestOfRows(rows);
        const factor = { values: backValues, columns: backColumns, backValues: values, backColumns: columns };
        return integerProduct(dy, { codes: quantizeRows(rows, largest, limit), largest, limit, factor });
      },
      null,
      null,
      null,
      null,
      null,
      null,
      null,
    ],
    emit: (node, emitter) => {
      const [, codes, largest, values, columns] = names(node);
      const product = emitter.intermediate('product');
      const { limit } = node.attributes;
      const factors = { codes, zero: zeroCode(limit), step: 1 / limit, values, columns };
      emitter.node({ ...codesProduct(emitter, factors), output: product });
      emitter.node({ type: 'Mul', inputs: [product, largest], output: node.output.name });
    },
  },
};
