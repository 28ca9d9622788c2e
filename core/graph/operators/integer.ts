/** @file Products in whole numbers with a frozen matrix, each row with a scale of its own. */

import { integerProduct, quantizeRows, rowScale } from '../build.ts';
import { sameShape } from '../dimension.ts';
import { int, names, require, type Rules } from './rule.ts';

/** Largest absolute value of a code. */
const LARGEST = 127;
/** The code of zero where codes have no sign; where they have one it is 0. */
const ZERO = 128;
/** Keeps the scale of a row of zeros from being zero. */
const SMALLEST = 1e-30;

export const integer: Rules<'RowScale' | 'QuantizeRows' | 'IntegerProduct'> = {
  // max |x| / 127 of each row
  RowScale: {
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
      const lowest = part('lowest', 'ReduceMin', [x, axes], keep);
      const highest = part('highest', 'ReduceMax', [x, axes], keep);
      const smallest = emitter.constant('float32', [], [SMALLEST]);
      const largest = part('largest', 'Max', [highest, part('opposite', 'Neg', [lowest]), smallest]);
      const factor = emitter.constant('float32', [], [1 / LARGEST]);
      emitter.node({ type: 'Mul', inputs: [largest, factor], output: node.output.name });
    },
  },

  // round(x / scale) + 128
  QuantizeRows: {
    infer: ([x, scales]) => {
      require(sameShape(scales.shape, [x.shape[0], 1]), 'one scale a row is needed');
      return { dataType: 'uint8', shape: x.shape };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [x, scales] = names(node);
      const shares = emitter.intermediate('shares');
      emitter.node({ type: 'Div', inputs: [x, scales], output: shares });
      const one = emitter.constant('float32', [], [1]);
      const zero = emitter.constant('uint8', [], [ZERO]);
      emitter.node({ type: 'QuantizeLinear', inputs: [shares, one, zero], output: node.output.name });
    },
  },

  // y[i, j] = scales[i] · columns[j] · Σ (codes[i, k] − 128) (values[k, j] − zero)
  //
  // x itself takes no part but for its gradient, which is a product of the same kind with the other layout of W:
  // dx = dy W, dy with scales of its own rows.
  IntegerProduct: {
    infer: ([x, codes, scales, values, columns, backValues, backColumns]) => {
      const [into, out] = values.shape;
      require(codes.dataType === 'uint8' && sameShape(codes.shape, x.shape), 'one code an element is needed');
      require(['uint8', 'int8'].includes(values.dataType) &&
        backValues.dataType === values.dataType, 'the matrix must be of codes');
      require(sameShape(scales.shape, [x.shape[0], 1]), 'one scale a row is needed');
      require(x.shape[1] === into &&
        sameShape(backValues.shape, [out, into]), 'the matrix has another shape');
      require(sameShape(columns.shape, [out]) &&
        sameShape(backColumns.shape, [into]), 'one scale a column is needed');
      return { dataType: 'float32', shape: [x.shape[0], out] };
    },
    gradient: [
      (dy, { inputs: [, , , values, columns, backValues, backColumns] }) => {
        const scales = rowScale(dy);
        const quantized = { codes: quantizeRows(dy, scales), scales };
        return integerProduct(dy, quantized, {
          values: backValues,
          columns: backColumns,
          backValues: values,
          backColumns: columns,
        });
      },
      null,
      null,
      null,
      null,
      null,
      null,
    ],
    emit: (node, emitter) => {
      const [, codes, scales, values, columns] = names(node);
      const product = emitter.intermediate('product');
      emitter.node({
        type: 'MatMulIntegerToFloat',
        domain: 'com.microsoft',
        inputs: [
          codes,
          values,
          emitter.constant('float32', [], [1]),
          columns,
          emitter.constant('uint8', [], [ZERO]),
          node.inputs[3].dataType === 'int8'
            ? emitter.constant('int8', [], [0])
            : emitter.constant('uint8', [], [ZERO]),
        ],
        output: product,
      });
      emitter.node({ type: 'Mul', inputs: [product, scales], output: node.output.name });
    },
  },
};
