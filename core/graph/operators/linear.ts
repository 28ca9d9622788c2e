/** @file Products of matrices. */

import { gemm, matMul, swapLastAxes } from '../build.ts';
import { broadcast, sameShape } from '../dimension.ts';
import { float, int, names, plain, require, type Rules } from './rule.ts';

export const linear: Rules<'MatMul' | 'Gemm' | 'DequantizeLinear'> = {
  // C = A B:  dA = dC Bᵀ, dB = Aᵀ dC
  MatMul: {
    infer: ([a, b]) => {
      require(a.shape.length >= 2 && b.shape.length >= 2, 'both factors need two axes or more');
      const [inner, rows] = [b.shape.at(-2), b.shape.at(-1)];
      require(a.shape.at(-1) === inner, `inner sizes ${a.shape.at(-1)} and ${inner} differ`);
      const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
      return { dataType: a.dataType, shape: [...batch, a.shape[a.shape.length - 2], rows as number] };
    },
    gradient: [
      (dy, { inputs: [, b] }) => matMul(dy, swapLastAxes(b)),
      (dy, { inputs: [a] }) => matMul(swapLastAxes(a), dy),
    ],
    emit: plain,
  },

  // Y = α op(A) op(B) + C:  dop(A) = α dY op(B)ᵀ, dop(B) = α op(A)ᵀ dY, dC = dY
  Gemm: {
    infer: ([a, b, c], { transA, transB }) => {
      require(a.shape.length === 2 && b.shape.length === 2, 'both factors must be matrices');
      const [rows, innerA] = transA ? [a.shape[1], a.shape[0]] : a.shape;
      const [innerB, columns] = transB ? [b.shape[1], b.shape[0]] : b.shape;
      require(innerA === innerB, `inner sizes ${innerA} and ${innerB} differ`);
      require(c === undefined || sameShape(c.shape, [rows, columns]), 'the summand has another shape');
      return { dataType: a.dataType, shape: [rows, columns] };
    },
    gradient: [
      (dy, { inputs: [, b], attributes: { transA, transB, alpha } }) =>
        transA
          ? gemm(b, dy, { transA: transB, transB: true, alpha })
          : gemm(dy, b, { transB: !transB, alpha }),
      (dy, { inputs: [a], attributes: { transA, transB, alpha } }) =>
        transB
          ? gemm(dy, a, { transA: true, transB: transA, alpha })
          : gemm(a, dy, { transA: !transA, alpha }),
      (dy) => dy,
    ],
    emit: (node, emitter) =>
      emitter.node({
        type: 'Gemm',
        inputs: names(node),
        output: node.output.name,
        attributes: {
          transA: int(Number(node.attributes.transA)),
          transB: int(Number(node.attributes.transB)),
          alpha: float(node.attributes.alpha),
        },
      }),
  },

  // w = scale[block of column] · q; frozen weights only, so no gradient
  DequantizeLinear: {
    infer: ([values, scale], { block }) => {
      const [rows, columns] = values.shape;
      require(typeof columns === 'number' && columns % block === 0, `columns are not a multiple of ${block}`);
      require(scale.shape[0] === rows && scale.shape[1] === columns / block, 'one scale a block is needed');
      return { dataType: scale.dataType, shape: values.shape };
    },
    gradient: null,
    emit: (node, emitter) =>
      emitter.node({
        type: 'DequantizeLinear',
        inputs: names(node),
        output: node.output.name,
        attributes: { axis: int(1), block_size: int(node.attributes.block) },
      }),
  },
};
