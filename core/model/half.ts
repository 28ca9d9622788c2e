/** @file IEEE half floats, which hold the scales of quantised blocks. */

let halves: Float32Array | null = null;

/** The value of each of the 65 536 half floats by its bits. */
export function halfTable(): Float32Array {
  if (halves !== null) return halves;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  halves = table;
  return table;
}
