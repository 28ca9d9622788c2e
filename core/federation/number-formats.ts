/**
 * @file The number formats of tensors on the wire, as tensors of a safetensors file:
 * - `f32`: dtype F32, 4 bytes a number, exact.
 * - `bf16`: dtype BF16, the upper half of a float32, rounded to nearest, ties to even; 2 bytes a number.
 * - `int8`: dtype I8, codes q from −127 to 127 in blocks of 128 numbers in row-major order, the last block shorter
 *   where need be; beside it `<name>#scale`, dtype F32, one s a block; the number is s·q. 1.03 bytes a number.
 *
 * Little endian. Decoding is one product in float32, so that every machine gets the same bits.
 */

import * as kernels from './kernels/codes.ts';

export const CODECS = ['f32', 'bf16', 'int8'] as const;
export type Codec = (typeof CODECS)[number];

/** Numbers that share a scale. */
export const BLOCK = 128;

export interface EncodedNumbers {
  readonly bytes: Uint8Array;
  /** One a block; null where the format has none. */
  readonly scales: Float32Array | null;
}

export interface NumberFormat {
  /** Type of the tensor that holds the numbers. */
  readonly dtype: 'F32' | 'BF16' | 'I8';
  readonly bytesPerNumber: number;
  readonly hasScales: boolean;
  /** Encodes into a place of the right size; its bytes lie where numbers of their size may. */
  readonly encodeInto: (numbers: Float32Array, place: EncodedNumbers) => void;
  /** What a receiver makes of it. Numbers that are no numbers stay so: the caller looks. */
  readonly decodeInto: (encoded: EncodedNumbers, numbers: Float32Array) => void;
  /** Adds what a receiver makes of it, or takes it away, in float32. */
  readonly addInto: (encoded: EncodedNumbers, numbers: Float32Array, sign: 1 | -1) => void;
}

/** Where numbers of `size` bytes lie: in the bytes themselves, or in a copy where those do not begin at such a place. */
function aligned(bytes: Uint8Array, size: number) {
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : Uint8Array.from(bytes);
  return { buffer, offset: byteOffset, length: bytes.length / size };
}

const f32: NumberFormat = {
  dtype: 'F32',
  bytesPerNumber: 4,
  hasScales: false,
  encodeInto: (numbers, { bytes }) => bytes.set(bytesOf(numbers)),
  decodeInto: ({ bytes }, numbers) => bytesOf(numbers).set(bytes),
  addInto: ({ bytes }, numbers, sign) => {
    const { buffer, offset, length } = aligned(bytes, 4);
    const added = new Float32Array(buffer, offset, length);
    for (let i = 0; i < length; i++) numbers[i] += sign * added[i];
  },
};

/** The bits of a bfloat16 as a float32. */
const widened = new Uint32Array(1);
const widenedFloat = new Float32Array(widened.buffer);

const bf16: NumberFormat = {
  dtype: 'BF16',
  bytesPerNumber: 2,
  hasScales: false,
  encodeInto: (numbers, { bytes }) => {
    const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, numbers.length);
    // Adds half of the last place that stays, a little less where that place is even; a carry goes the right way.
    for (let i = 0; i < halves.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  },
  decodeInto: ({ bytes }, numbers) => {
    const { buffer, offset, length } = aligned(bytes, 2);
    const halves = new Uint16Array(buffer, offset, length);
    const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, length);
    for (let i = 0; i < length; i++) bits[i] = halves[i] << 16;
  },
  addInto: ({ bytes }, numbers, sign) => {
    const { buffer, offset, length } = aligned(bytes, 2);
    const halves = new Uint16Array(buffer, offset, length);
    for (let i = 0; i < length; i++) {
      widened[0] = halves[i] << 16;
      numbers[i] += sign * widenedFloat[0];
    }
  },
};

const int8: NumberFormat = {
  dtype: 'I8',
  bytesPerNumber: 1,
  hasScales: true,
  encodeInto: (numbers, place) => kernels.encodeCodes(numbers, coded(place)),
  decodeInto: (encoded, numbers) => kernels.addCodes(coded(encoded), numbers.fill(0), 1),
  addInto: (encoded, numbers, sign) => kernels.addCodes(coded(encoded), numbers, sign),
};

function coded({ bytes, scales }: EncodedNumbers): kernels.Coded {
  if (scales === null) throw new TypeError('Codes need a place for their scales.');
  return { bytes, scales };
}

/** Codes and the weight that they have in a sum. */
export interface WeightedCodes {
  readonly encoded: EncodedNumbers;
  readonly weight: number;
}

/** Adds each `weight` times what a receiver makes of the codes, one after the other. */
export function addScaledCodes(sum: Float64Array, addends: readonly WeightedCodes[]): void {
  kernels.addScaledCodes(
    sum,
    addends.map(({ encoded, weight }) => ({ coded: coded(encoded), weight })),
  );
}

export const NUMBER_FORMATS: Readonly<Record<Codec, NumberFormat>> = { f32, bf16, int8 };

/**
 * Adds weights − base to what was left out before, encodes that, and leaves in `rest` what the encoding leaves out.
 * The sum is in float64 and rounded to float32.
 */
export function encodeDifference(codec: Codec, numbers: kernels.Difference, place: EncodedNumbers): void {
  if (codec === 'int8') return kernels.encodeDifference(numbers, coded(place));
  const { rest, weights, base } = numbers;
  for (let i = 0; i < rest.length; i++) rest[i] += weights[i] - base[i];
  NUMBER_FORMATS[codec].encodeInto(rest, place);
  NUMBER_FORMATS[codec].addInto(place, rest, -1);
}

/**
 * Encodes what brings `base` as near to `target` as the codec can, with what was left out of the steps before;
 * `reached` is what it really brings it to, and `left` what is missing then.
 */
export function encodeStep(codec: 'bf16' | 'int8', step: kernels.Step, place: EncodedNumbers): void {
  if (codec === 'int8') return kernels.encodeStep(step, coded(place));
  const { base, target, reached, left } = step;
  const { encodeInto, addInto } = NUMBER_FORMATS[codec];
  const wanted = (i: number): number => (left === null ? target[i] : target[i] + left[i]);
  for (let i = 0; i < reached.length; i++) reached[i] = wanted(i) - base[i];
  encodeInto(reached, place);
  reached.set(base);
  addInto(place, reached, 1);
  if (left !== null) for (let i = 0; i < left.length; i++) left[i] = wanted(i) - reached[i];
}

/** Numbers in a place of their own. */
export function encodeNumbers(codec: Codec, numbers: Float32Array): EncodedNumbers {
  const { bytesPerNumber, hasScales, encodeInto } = NUMBER_FORMATS[codec];
  const place = {
    bytes: new Uint8Array(numbers.length * bytesPerNumber),
    scales: hasScales ? new Float32Array(blockCount(numbers.length)) : null,
  };
  encodeInto(numbers, place);
  return place;
}

/** The numbers of an encoding, in an array of their own. */
export function decodeNumbers(codec: Codec, encoded: EncodedNumbers): Float32Array {
  const { bytesPerNumber, decodeInto } = NUMBER_FORMATS[codec];
  const numbers = new Float32Array(encoded.bytes.length / bytesPerNumber);
  decodeInto(encoded, numbers);
  return numbers;
}

/** Scales that so many numbers have. */
export function blockCount(numbers: number): number {
  return Math.ceil(numbers / BLOCK);
}

/** The same memory as bytes. */
export function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
