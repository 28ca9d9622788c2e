/** @file Element-wise operators with NumPy's broadcasting; the reverse walk sums gradients back to the input's shape. */

import {
  add,
  cast,
  div,
  mul,
  neg,
  reciprocal,
  scalarLike,
  sigmoid,
  sub,
  where,
  zerosLike,
} from '../build.ts';
import { broadcast, sameShape } from '../dimension.ts';
import type { DataType, Value } from '../graph.ts';
import {
  int,
  names,
  ONNX_DATA_TYPES,
  plain,
  require,
  type EmittedNode,
  type GradientRule,
  type Rule,
  type Rules,
} from './rule.ts';

type Unary = 'Neg' | 'Exp' | 'Log' | 'Sqrt' | 'Reciprocal' | 'Sigmoid';
type Binary = 'Add' | 'Sub' | 'Mul' | 'Div';

const unary = <O extends Unary | 'Floor'>(gradient: GradientRule<O> | null): Rule<O> => ({
  infer: ([x]) => ({ dataType: x.dataType, shape: x.shape }),
  gradient: gradient && [gradient],
  emit: plain,
});

function sameType(a: Value, b: Value): DataType {
  require(a.dataType === b.dataType, `element types ${a.dataType} and ${b.dataType} differ`);
  return a.dataType;
}

const binary = <O extends Binary>(left: GradientRule<O>, right: GradientRule<O>): Rule<O> => ({
  infer: ([a, b]) => ({ dataType: sameType(a, b), shape: broadcast(a.shape, b.shape) }),
  gradient: [left, right],
  emit: plain,
});

const comparison = <O extends 'Equal' | 'Less'>(): Rule<O> => ({
  infer: ([a, b]) => {
    sameType(a, b);
    return { dataType: 'bool', shape: broadcast(a.shape, b.shape) };
  },
  gradient: null,
  emit: plain,
});

/** The largest number of float16. */
const LARGEST_HALF = 65504;

/** Converts to the type of the output. */
function castNode(input: string, { name, dataType }: Value): EmittedNode {
  return {
    type: 'Cast',
    inputs: [input],
    output: name,
    attributes: { to: int(ONNX_DATA_TYPES[dataType]) },
  };
}

export const elementwise: Rules<
  | Unary
  | 'Floor'
  | Binary
  | 'Softplus'
  | 'Where'
  | 'Equal'
  | 'Less'
  | 'Cast'
  | 'ToHalf'
  | 'FromHalf'
  | 'SwiGlu'
> = {
  Neg: unary((dy) => neg(dy)),
  // d exp(x) = exp(x)
  Exp: unary((dy, { output }) => mul(dy, output)),
  // d log(x) = 1 / x
  Log: unary((dy, { inputs: [x] }) => div(dy, x)),
  // d √x = 1 / (2 √x)
  Sqrt: unary((dy, { output }) => div(dy, mul(output, scalarLike(output, 2)))),
  // d (1/x) = −1 / x²
  Reciprocal: unary((dy, { output }) => neg(mul(dy, mul(output, output)))),
  // d σ(x) = σ(x) (1 − σ(x))
  Sigmoid: unary((dy, { output }) => mul(dy, mul(output, sub(scalarLike(output, 1), output)))),

  // x ─┬ Max ─────────────────────────── Add ─ output     max(x, 0) + log(1 + exp(−|x|)): nothing overflows
  //    └ Abs ─ Neg ─ Exp ─ Add ─ Log ─────┘
  Softplus: {
    infer: ([x]) => ({ dataType: x.dataType, shape: x.shape }),
    // d log(1 + exp(x)) = σ(x)
    gradient: [(dy, { inputs: [x] }) => mul(dy, sigmoid(x))],
    emit: (node, emitter) => {
      const [x] = names(node);
      const number = (value: number) => emitter.constant(node.output.dataType, [], [value]);
      const part = (label: string, type: string, inputs: string[]) => {
        const output = emitter.intermediate(label);
        emitter.node({ type, inputs, output });
        return output;
      };
      const size = part('size', 'Abs', [x]);
      const decay = part('decay', 'Exp', [part('negative', 'Neg', [size])]);
      const excess = part('excess', 'Log', [part('sum', 'Add', [decay, number(1)])]);
      const hinge = part('hinge', 'Max', [x, number(0)]);
      emitter.node({ type: 'Add', inputs: [hinge, excess], output: node.output.name });
    },
  },

  Floor: unary(null),

  Add: binary(
    (dy) => dy,
    (dy) => dy,
  ),
  Sub: binary(
    (dy) => dy,
    (dy) => neg(dy),
  ),
  Mul: binary(
    (dy, { inputs: [, b] }) => mul(dy, b),
    (dy, { inputs: [a] }) => mul(dy, a),
  ),
  // d (a/b) = da / b − db · a / b²
  Div: binary(
    (dy, { inputs: [, b] }) => div(dy, b),
    (dy, { inputs: [, b], output }) => neg(mul(dy, mul(output, reciprocal(b)))),
  ),

  Where: {
    infer: ([condition, a, b]) => {
      require(condition.dataType === 'bool', 'the condition must be bool');
      return { dataType: sameType(a, b), shape: broadcast(condition.shape, broadcast(a.shape, b.shape)) };
    },
    gradient: [
      null,
      (dy, { inputs: [condition] }) => where(condition, dy, scalarLike(dy, 0)),
      (dy, { inputs: [condition] }) => where(condition, scalarLike(dy, 0), dy),
    ],
    emit: plain,
  },
  Equal: comparison(),
  Less: comparison(),
  Cast: {
    infer: ([x], { to }) => ({ dataType: to, shape: x.shape }),
    gradient: [
      (dy, { inputs: [x] }) => (x.dataType.startsWith('float') ? cast(dy, x.dataType) : zerosLike(x)),
    ],
    emit: (node, emitter) => emitter.node(castNode(node.inputs[0].name, node.output)),
  },

  // x ─ Clip ─ Cast ─ output
  ToHalf: {
    infer: ([x]) => {
      require(x.dataType === 'float32', 'x must be float32');
      return { dataType: 'float16', shape: x.shape };
    },
    gradient: [(dy) => dy],
    emit: (node, emitter) => {
      const within = emitter.intermediate('within');
      const bound = (value: number) => emitter.constant('float32', [], [value]);
      const bounds = [bound(-LARGEST_HALF), bound(LARGEST_HALF)];
      emitter.node({ type: 'Clip', inputs: [...names(node), ...bounds], output: within });
      emitter.node(castNode(within, node.output));
    },
  },

  FromHalf: {
    infer: ([x]) => {
      require(x.dataType === 'float16', 'x must be float16');
      return { dataType: 'float32', shape: x.shape };
    },
    gradient: [(dy) => dy],
    emit: (node, emitter) => emitter.node(castNode(node.inputs[0].name, node.output)),
  },

  // gate ──┬─ Sigmoid ─ Mul ─ Mul ─ output      y = g σ(g) u
  //        └────────────┘     │
  // up ───────────────────────┘
  SwiGlu: {
    infer: ([gate, up]) => {
      require(sameShape(gate.shape, up.shape), 'gate and up differ in shape');
      return { dataType: sameType(gate, up), shape: gate.shape };
    },
    gradient: [
      // With r = dy σ(g) and s = r g, the gradient in u: u (r + s − s σ(g)), in as few passes over memory as there can be
      (dy, { inputs: [gate, up] }) => {
        const gateSigmoid = sigmoid(gate);
        const r = mul(dy, gateSigmoid);
        const s = mul(r, gate);
        return mul(up, sub(add(r, s), mul(s, gateSigmoid)));
      },
      // dy σ(g) g
      (dy, { inputs: [gate] }) => mul(mul(dy, sigmoid(gate)), gate),
    ],
    emit: (node, emitter) => {
      const [gate, up] = names(node);
      const gateSigmoid = emitter.intermediate('sigmoid');
      const silu = emitter.intermediate('silu');
      emitter.node({ type: 'Sigmoid', inputs: [gate], output: gateSigmoid });
      emitter.node({ type: 'Mul', inputs: [gate, gateSigmoid], output: silu });
      emitter.node({ type: 'Mul', inputs: [silu, up], output: node.output.name });
    },
  },
};
