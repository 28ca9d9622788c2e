/** @file Values by their position, of which a later one replaces an earlier one. */

/** The last value of each position, in the order of positions. */
export function latest<Value>(values: readonly Value[], position: (value: Value) => number): Value[] {
  const byPosition = new Map(values.map((value) => [position(value), value]));
  return [...byPosition].sort(([one], [other]) => one - other).map(([, value]) => value);
}
