/**
 * @file Numbers and their codes, a piece at a time in the memory of the kernels. The results are those of the formulas
 * bit for bit, on every machine.
 */

import { BLOCK, endOfFirst, endOfScales, kernels, memory, PIECE } from './module.ts';

const { first, second, third, codes, scales, wide } = memory;

/** Codes and the scales of their blocks of 128. */
export interface Coded {
  readonly bytes: Uint8Array;
  readonly scales: Float32Array;
}

/** What a site has trained, from what, and what rounding has left out before. */
export interface Difference {
  readonly rest: Float32Array;
  readonly weights: Float32Array;
  readonly base: Float32Array;
}

/** A step of the hub: from what sites hold towards its own numbers. */
export interface Step {
  readonly base: Float32Array;
  readonly target: Float64Array;
  /** What sites hold then. */
  readonly reached: Float32Array;
  /** What was left out of the steps before, and then of this one too; null where nobody asks. */
  readonly left: Float32Array | null;
}

interface Piece {
  readonly from: number;
  readonly to: number;
  /** Of its scales. */
  readonly firstScale: number;
  readonly endScale: number;
  /** Where its scales end in the memory. */
  readonly end: number;
}

function forPieces(length: number, work: (piece: Piece) => void): void {
  for (let from = 0; from < length; from += PIECE) {
    const to = Math.min(from + PIECE, length);
    const [firstScale, endScale] = [from / BLOCK, Math.ceil(to / BLOCK)];
    work({ from, to, firstScale, endScale, end: endOfScales(endScale - firstScale) });
  }
}

function takeCodes({ bytes, scales: ratios }: Coded, { from, to, firstScale, endScale }: Piece): void {
  codes.set(bytes.subarray(from, to));
  scales.set(ratios.subarray(firstScale, endScale));
}

function encodeFirst(place: Coded, { from, to, firstScale, endScale, end }: Piece): void {
  const count = endScale - firstScale;
  first.fill(0, to - from, count * BLOCK);
  kernels.encode(end);
  place.bytes.set(codes.subarray(0, to - from), from);
  place.scales.set(scales.subarray(0, count), firstScale);
}

/**
 * Encodes numbers: scale = max |x| / 127 of a block in float32, code = ⌊x / scale + ½⌋ in float64 and at most ±127;
 * 0 where the scale is 0.
 */
export function encodeCodes(numbers: Float32Array, place: Coded): void {
  forPieces(numbers.length, (piece) => {
    first.set(numbers.subarray(piece.from, piece.to));
    encodeFirst(place, piece);
  });
}

/** numbers += sign · code · scale, each in float32. */
export function addCodes(coded: Coded, numbers: Float32Array, sign: 1 | -1): void {
  forPieces(numbers.length, (piece) => {
    const { from, to, end } = piece;
    takeCodes(coded, piece);
    first.set(numbers.subarray(from, to));
    kernels.addCodes(end, sign);
    numbers.set(first.subarray(0, to - from), from);
  });
}

/** For one after the other: sum += weight · (code · scale), the product in brackets in float32, the others in float64. */
export function addScaledCodes(
  sum: Float64Array,
  addends: readonly { readonly coded: Coded; readonly weight: number }[],
): void {
  forPieces(sum.length, (piece) => {
    const { from, to, end } = piece;
    wide.set(sum.subarray(from, to));
    for (const { coded, weight } of addends) {
      takeCodes(coded, piece);
      kernels.addScaledCodes(end, weight);
    }
    sum.set(wide.subarray(0, to - from), from);
  });
}

/**
 * rest += weights − base in float64, rounded to float32; then encodes that, and rest is what the codes leave out of it.
 */
export function encodeDifference({ rest, weights, base }: Difference, place: Coded): void {
  forPieces(rest.length, (piece) => {
    const { from, to, end } = piece;
    first.set(rest.subarray(from, to));
    second.set(weights.subarray(from, to));
    third.set(base.subarray(from, to));
    kernels.addDifference(endOfFirst(to - from));
    encodeFirst(place, piece);
    kernels.addCodes(end, -1);
    rest.set(first.subarray(0, to - from), from);
  });
}

/**
 * Encodes target − base, and `left` where there was any, in float64 and rounded to float32. `reached` is what base and
 * codes make in float32, and `left` what is missing then.
 */
export function encodeStep({ base, target, reached, left }: Step, place: Coded): void {
  forPieces(reached.length, (piece) => {
    const { from, to, end } = piece;
    const count = to - from;
    wide.set(target.subarray(from, to));
    if (left !== null) {
      first.set(left.subarray(from, to));
      kernels.addToWide(endOfFirst(count));
    }
    second.set(base.subarray(from, to));
    kernels.subtractFromWide(endOfFirst(count));
    encodeFirst(place, piece);
    first.set(second.subarray(0, count));
    kernels.addCodes(end, 1);
    reached.set(first.subarray(0, count), from);
    if (left === null) return;
    second.set(first.subarray(0, count));
    kernels.subtractFromWide(endOfFirst(count));
    left.set(first.subarray(0, count), from);
  });
}
