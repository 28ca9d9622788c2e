/** @file Sizes of axes: numbers, or products of named sizes that are known only when a graph runs. */

/** A number, or a monomial such as `batch`, `batch*length` or `3*length` (factors in alphabetical order). */
export type Dimension = number | string;

export type Shape = readonly Dimension[];

function factors(dimension: Dimension): { coefficient: number; symbols: string[] } {
  if (typeof dimension === 'number') return { coefficient: dimension, symbols: [] };
  const parts = dimension.split('*');
  const numbers = parts.filter((part) => /^\d+$/.test(part));
  return {
    coefficient: numbers.reduce((product, part) => product * Number(part), 1),
    symbols: parts.filter((part) => !/^\d+$/.test(part)).sort(),
  };
}

/** Product of dimensions in canonical form. */
export function product(dimensions: Shape): Dimension {
  const all = dimensions.map(factors);
  const coefficient = all.reduce((value, part) => value * part.coefficient, 1);
  const symbols = all.flatMap((part) => part.symbols).sort();
  if (symbols.length === 0 || coefficient === 0) return coefficient;
  return [...(coefficient === 1 ? [] : [String(coefficient)]), ...symbols].join('*');
}

/** Sum of two dimensions; symbolic only if one of them is zero or both are multiples of the same symbols. */
export function sum(a: Dimension, b: Dimension): Dimension {
  if (a === 0) return b;
  if (b === 0) return a;
  const [left, right] = [factors(a), factors(b)];
  if (left.symbols.join('*') === right.symbols.join('*')) {
    return product([left.coefficient + right.coefficient, ...left.symbols]);
  }
  return `(${[a, b].map(String).sort().join('+')})`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/**
 * Shape of an element-wise result by ONNX's (NumPy's) broadcasting rule.
 * @throws Error when two sizes differ and neither is 1.
 */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new Error(`shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast`);
  });
}

/** The axis counted from the front, for one that may be negative. */
export function normalizeAxis(axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (normalized < 0 || normalized >= rank) throw new Error(`axis ${axis} is outside rank ${rank}`);
  return normalized;
}
