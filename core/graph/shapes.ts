/** @file Shapes with named sizes, which a graph is told at every run. */

import type { Shape } from './dimension.ts';
import type { Value } from './graph.ts';

/** In the target of an ONNX Reshape: whatever the other sizes leave. */
export const LEFT_OVER = -1;

const PREFIX = '/shapes/';

/** Name of the int64 input that holds a shape. */
export function shapeInput(shape: Shape): string {
  return `${PREFIX}${shape.join('_')}`;
}

export function isShapeInput(name: string): boolean {
  return name.startsWith(PREFIX);
}

/**
 * The values of shape inputs. Sizes come from the axes of the graph's other inputs; one size that no input has an axis
 * of, such as a product, is left to the Reshape.
 * @param fed the shape of each tensor that is fed, by the name of its input
 * @throws Error when more than one size of a shape is unknown
 */
export function shapeValues(
  inputs: readonly Pick<Value, 'name' | 'shape'>[],
  shapes: readonly Shape[],
  fed: Readonly<Record<string, { readonly dims: readonly number[] }>>,
): Map<string, BigInt64Array> {
  const sizes = new Map<string, number>();
  for (const { name, shape } of inputs) {
    shape.forEach((size, axis) => {
      if (typeof size === 'string' && name in fed) sizes.set(size, fed[name].dims[axis]);
    });
  }
  return new Map(
    shapes.map((shape) => {
      const unknown = shape.filter((size) => typeof size === 'string' && !sizes.has(size));
      if (unknown.length > 1) throw new Error(`no inputs have axes of the sizes ${unknown.join(' and ')}`);
      const target = shape.map((size) => (typeof size === 'number' ? size : (sizes.get(size) ?? LEFT_OVER)));
      return [shapeInput(shape), BigInt64Array.from(target, BigInt)];
    }),
  );
}
