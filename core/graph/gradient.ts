/** @file Reverse-mode differentiation: adds the nodes that compute the gradients of a scalar. */

import { add, expandLike, gemm, reduceSum, reshape } from './build.ts';
import { sameShape } from './dimension.ts';
import type { Node, Value } from './graph.ts';
import { operators } from './operators/table.ts';
import type { GradientRule } from './operators/rule.ts';
import type { Operator } from './operators/attributes.ts';
import { Recomputation, type Segments } from './recompute.ts';

/**
 * Gradients of `loss` in each of `parameters`, in their order and of their shapes. Only nodes between a parameter
 * and the loss are differentiated, so nothing is computed for frozen tensors or below the first parameter.
 * @param loss one element, of shape [] or [1, …, 1]
 * @param segments which forward results are not kept for the reverse walk but computed again; default none
 * @throws Error when the loss does not depend on a parameter, or through an operator that has no gradient.
 */
export function gradients(
  loss: Value,
  parameters: readonly Value[],
  segments: Segments = () => null,
): Value[] {
  const { graph } = loss;
  const dependent = new Set<Value>(parameters);
  for (const node of graph.nodes) {
    if (node.inputs.some((input) => dependent.has(input))) dependent.add(node.output);
  }
  const found = new Map<Value, Value>();
  found.set(loss, expandLike(graph.constant(loss.dataType, [], [1]), loss));
  const recomputation = new Recomputation(segments);
  for (const node of [...graph.nodes].reverse()) {
    const dy = found.get(node.output);
    if (!dy || !dependent.has(node.output)) continue;
    const kept = recomputation.node(node, dy);
    graph.scopeAt(`/gradient${node.name}`, () => {
      node.inputs.forEach((input, index) => {
        if (!dependent.has(input)) return;
        const rule = gradientRule(node, index);
        if (!rule) return;
        const gradient = unbroadcast(rule(dy, kept, index), input);
        const earlier = found.get(input);
        found.set(input, earlier ? accumulate(earlier, gradient) : gradient);
      });
    });
  }
  return parameters.map((parameter) => {
    const gradient = found.get(parameter);
    if (!gradient) throw new Error(`the loss does not depend on ${parameter.name}`);
    return gradient;
  });
}

/** earlier + gradient; a product takes the sum in, and the plain product is left out of the model as unneeded. */
function accumulate(earlier: Value, gradient: Value): Value {
  const { producer } = gradient;
  if (producer?.operator !== 'Gemm' || producer.inputs.length > 2) return add(earlier, gradient);
  const [a, b] = producer.inputs;
  return gemm(a, b, { ...(producer as Node<'Gemm'>).attributes, plus: earlier });
}

function gradientRule(node: Node, index: number): GradientRule<Operator> | null {
  const { gradient } = operators[node.operator];
  if (gradient === null) throw new Error(`${node.operator} has no gradient (${node.name})`);
  const rule = typeof gradient === 'function' ? gradient : gradient[index];
  // The table types each rule by its own operator; here the node and its rule are known to belong together.
  return rule as GradientRule<Operator> | null;
}

/** Undoes broadcasting: the sum of `gradient` over the axes along which `input` was repeated. */
function unbroadcast(gradient: Value, input: Value): Value {
  if (sameShape(gradient.shape, input.shape)) return gradient;
  const extra = gradient.shape.length - input.shape.length;
  const repeated = gradient.shape.flatMap((size, axis) =>
    axis < extra || (input.shape[axis - extra] === 1 && size !== 1) ? [axis] : [],
  );
  const summed = reduceSum(gradient, repeated);
  return extra > 0 ? reshape(summed, input.shape) : expandLike(summed, input);
}
