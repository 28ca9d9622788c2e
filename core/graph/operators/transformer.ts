/** @file Operators of a transformer that ONNX Runtime computes in one kernel. */

import {
  add,
  div,
  mul,
  neg,
  reduceMean,
  reduceSum,
  rotaryEmbedding,
  scalarLike,
  sqrt,
  sub,
} from '../build.ts';
import type { Value } from '../graph.ts';
import { float, int, names, require, type Rules } from './rule.ts';

/** 1 / sqrt(mean(x²) + ε) of each row. */
function inverseRootMeanSquare(x: Value, epsilon: number): Value {
  const one = scalarLike(x, 1);
  return div(one, sqrt(add(reduceMean(mul(x, x), [-1]), scalarLike(x, epsilon))));
}

export const transformer: Rules<'RmsNorm' | 'RotaryEmbedding'> = {
  // y = x r g with r = 1 / sqrt(mean(x²) + ε)
  RmsNorm: {
    infer: ([x, gain]) => {
      require(gain.shape.length === 1 && gain.shape[0] === x.shape.at(-1), 'one gain a column is needed');
      return { dataType: x.dataType, shape: x.shape };
    },
    gradient: [
      // dx = r (u − x r² mean(u x)) with u = dy g
      (dy, { inputs: [x, gain], attributes: { epsilon } }) => {
        const r = inverseRootMeanSquare(x, epsilon);
        const u = mul(dy, gain);
        const projection = mul(mul(r, r), reduceMean(mul(u, x), [-1]));
        return mul(r, sub(u, mul(x, projection)));
      },
      // dg = Σ over rows of dy x r
      (dy, { inputs: [x], attributes: { epsilon } }) => {
        const rows = x.shape.slice(0, -1).map((_, axis) => axis);
        return reduceSum(mul(dy, mul(x, inverseRootMeanSquare(x, epsilon))), rows);
      },
    ],
    emit: (node, emitter) =>
      emitter.node({
        type: 'SimplifiedLayerNormalization',
        inputs: names(node),
        output: node.output.name,
        attributes: { epsilon: float(node.attributes.epsilon), axis: int(-1), stash_type: int(1) },
      }),
  },

  // a rotation by the angle; its gradient is the rotation by the opposite angle
  RotaryEmbedding: {
    infer: ([x, positions, cos]) => {
      require(x.shape.length === 4, 'x must be [batch, heads, length, size]');
      require(cos.shape[1] === Number(x.shape[3]) / 2, 'the tables must have half the size of a head');
      require(positions.dataType === 'int64', 'positions must be int64');
      return { dataType: x.dataType, shape: x.shape };
    },
    gradient: [
      (dy, { inputs: [, positions, cos, sin] }) => rotaryEmbedding(dy, { positions, cos, sin: neg(sin) }),
      null,
      null,
      null,
    ],
    emit: (node, emitter) =>
      emitter.node({
        type: 'RotaryEmbedding',
        domain: 'com.microsoft',
        inputs: names(node),
        output: node.output.name,
        attributes: { interleaved: int(0) },
      }),
  },
};
