/** @file Reductions over axes, which stay with size 1. */

import { cast, crossEntropyGradient, div, equal, expandLike, mul, reduceSum, scale, sub } from '../build.ts';
import { normalizeAxis, product } from '../dimension.ts';
import { int, names, require, type GradientRule, type Rule, type Rules } from './rule.ts';

type Reduce = 'ReduceSum' | 'ReduceMean' | 'ReduceMax';

const reduce = <O extends Reduce>(gradient: GradientRule<O>): Rule<O> => ({
  infer: ([x], { axes }) => {
    const reduced = axes.map((axis) => normalizeAxis(axis, x.shape.length));
    return { dataType: x.dataType, shape: x.shape.map((size, axis) => (reduced.includes(axis) ? 1 : size)) };
  },
  gradient: [gradient],
  emit: (node, emitter) =>
    emitter.node({
      type: node.operator,
      inputs: [
        node.inputs[0].name,
        emitter.constant('int64', [node.attributes.axes.length], node.attributes.axes),
      ],
      output: node.output.name,
      attributes: { keepdims: int(1) },
    }),
});

export const reduction: Rules<Reduce | 'Softmax' | 'CrossEntropy'> = {
  ReduceSum: reduce((dy, { inputs: [x] }) => expandLike(dy, x)),

  ReduceMean: reduce((dy, { inputs: [x], attributes: { axes } }) => {
    const count = product(axes.map((axis) => x.shape[normalizeAxis(axis, x.shape.length)]));
    require(typeof count === 'number', 'the mean of an axis without a fixed size has no gradient rule');
    return expandLike(scale(dy, 1 / count), x);
  }),

  // equal maxima share the gradient
  ReduceMax: reduce((dy, { inputs: [x], output, attributes: { axes } }) => {
    const chosen = cast(equal(x, output), x.dataType);
    return mul(dy, div(chosen, reduceSum(chosen, axes)));
  }),

  // dx = y (dy − Σ dy y)
  Softmax: {
    infer: ([x]) => ({ dataType: x.dataType, shape: x.shape }),
    gradient: [(dy, { output }) => mul(output, sub(dy, reduceSum(mul(dy, output), [-1])))],
    emit: (node, emitter) =>
      emitter.node({
        type: 'Softmax',
        inputs: names(node),
        output: node.output.name,
        attributes: { axis: int(-1) },
      }),
  },

  // logits ────────┬ ReduceMax ─────────── Sub ─ Sub ─ output     since max p = 1 / Σ exp(x − max x),
  // probabilities ─│─ ReduceMax ─ Log ─────┘     │                log Σ exp(x) = max x − log max p
  // labels ────────┴ GatherElements ─────────────┘
  CrossEntropy: {
    infer: ([logits, , labels]) => ({ dataType: logits.dataType, shape: labels.shape }),
    // dlogits = dy (p − one-hot(label)); the way through the probabilities is contained in it
    gradient: [
      (dy, { inputs: [, probabilities, labels] }) => crossEntropyGradient(dy, probabilities, labels),
      null,
      null,
    ],
    emit: (node, emitter) => {
      const [logits, probabilities, labels] = names(node);
      const last = emitter.constant('int64', [1], [1]);
      const part = (label: string, type: string, inputs: string[], attributes = {}) => {
        const output = emitter.intermediate(label);
        emitter.node({ type, inputs, output, attributes });
        return output;
      };
      const keep = { keepdims: int(1) };
      const maximum = part('maximum', 'ReduceMax', [logits, last], keep);
      const likeliest = part('likeliest', 'ReduceMax', [probabilities, last], keep);
      const logLikeliest = part('log', 'Log', [likeliest]);
      const logSum = part('log_sum', 'Sub', [maximum, logLikeliest]);
      const target = part('target', 'GatherElements', [logits, labels], { axis: int(1) });
      emitter.node({ type: 'Sub', inputs: [logSum, target], output: node.output.name });
    },
  },
};
