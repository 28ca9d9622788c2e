/** @file Runs a graph in ONNX Runtime and compares its gradients with central differences. */

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { mul, reduceSum, reshape } from '../../core/graph/build.ts';
import { gradients } from '../../core/graph/gradient.ts';
import { Graph, type DataType, type Value } from '../../core/graph/graph.ts';
import { toOnnx, type OnnxModel } from '../../core/graph/onnx.ts';
import { shapeValues } from '../../core/graph/shapes.ts';
import { halfBits } from '../../core/model/half.ts';

export interface Operand {
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export const operand =
  (type: DataType) =>
  (shape: readonly number[], values: readonly number[]): Operand => ({ type, shape, values });
export const f64 = operand('float64');
export const f32 = operand('float32');
export const i64 = operand('int64');

const arrays = {
  float16: (values: readonly number[]) => Uint16Array.from(values, halfBits),
  float32: (values: readonly number[]) => Float32Array.from(values),
  float64: (values: readonly number[]) => Float64Array.from(values),
  int32: (values: readonly number[]) => Int32Array.from(values),
  int64: (values: readonly number[]) => BigInt64Array.from(values.map(BigInt)),
  int8: (values: readonly number[]) => Int8Array.from(values),
  uint8: (values: readonly number[]) => Uint8Array.from(values),
  uint4: (values: readonly number[]) => Uint8Array.from(values),
  bool: (values: readonly number[]) => Uint8Array.from(values),
};

export function toTensor({ type, shape, values }: Operand): Tensor {
  return new Tensor(type, arrays[type](values), [...shape]);
}

/** Runs a graph on the operands, in the order of its inputs; all outputs as plain numbers. */
export async function run(graph: Graph, operands: readonly Operand[]): Promise<Record<string, number[]>> {
  const model = toOnnx(graph);
  const session = await InferenceSession.create(model.bytes, { logSeverityLevel: 3 });
  const results = await runSession(session, { graph, model }, operands);
  await session.release();
  return results;
}

async function runSession(
  session: InferenceSession,
  { graph, model }: { graph: Graph; model: OnnxModel },
  operands: readonly Operand[],
): Promise<Record<string, number[]>> {
  const feeds: Record<string, Tensor> = {};
  graph.inputs.forEach((input, index) => (feeds[input.name] = toTensor(operands[index])));
  for (const [name, values] of shapeValues(graph.inputs, model.shapes, feeds)) {
    feeds[name] = new Tensor('int64', values, [values.length]);
  }
  const results = await session.run(feeds);
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [
      name,
      Array.from(tensor.data as ArrayLike<number>, Number),
    ]),
  );
}

/**
 * Largest difference between analytic gradients and central differences over all elements of the differentiable
 * operands, relative to the largest gradient. The loss is Σ wᵢ yᵢ with uneven weights w, so that errors cannot cancel.
 */
export async function gradientError(
  build: (inputs: Value[]) => Value,
  operands: readonly Operand[],
  options: { step?: number; parameters?: readonly number[] } = {},
): Promise<number> {
  const graph = new Graph();
  const inputs = operands.map(({ type, shape }, index) => graph.input(`input_${index}`, type, shape));
  const y = build(inputs);
  const count = y.shape.reduce<number>((total, size) => total * Number(size), 1);
  const weights = Array.from({ length: count }, (_, index) => Math.cos(1 + 2.7 * index) + 0.3);
  const weighted = mul(reshape(y, [count]), graph.constant(y.dataType, [count], weights));
  const loss = reduceSum(weighted, [0]);
  const parameters =
    options.parameters ?? operands.flatMap(({ type }, index) => (type.startsWith('float') ? [index] : []));
  graph.output('loss', loss);
  const found = gradients(
    loss,
    parameters.map((index) => inputs[index]),
  );
  found.forEach((gradient, index) => graph.output(`gradient_${parameters[index]}`, gradient));
  const model = toOnnx(graph);
  const session = await InferenceSession.create(model.bytes, { logSeverityLevel: 3 });
  const evaluate = (given: readonly Operand[]) => runSession(session, { graph, model }, given);
  const analytic = await evaluate(operands);
  let largest = 0;
  let worst = 0;
  for (const parameter of parameters) {
    const single = operands[parameter].type === 'float32';
    const step = options.step ?? (single ? 1e-2 : 1e-5);
    for (let element = 0; element < operands[parameter].values.length; element++) {
      const moved = async (by: number) => {
        const values = operands[parameter].values.map((value, index) =>
          index === element ? value + by : value,
        );
        const shifted = operands.map((given, index) => (index === parameter ? { ...given, values } : given));
        return (await evaluate(shifted)).loss[0];
      };
      const numeric = ((await moved(step)) - (await moved(-step))) / (2 * step);
      const exact = analytic[`gradient_${parameter}`][element];
      largest = Math.max(largest, Math.abs(numeric), Math.abs(exact));
      worst = Math.max(worst, Math.abs(numeric - exact));
    }
  }
  await session.release();
  return worst / Math.max(largest, 1e-12);
}
