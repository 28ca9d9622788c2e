/**
 * @file The number formats of tensors on the wire, as tensors of a safetensors file:
 * - `f32`: dtype F32, 4 bytes a number, exact.
 * - `bf16`: dtype BF16, the upper half of a float32, rounded to nearest, ties to even; 2 bytes a number.
 * - `int8`: dtype I8, codes q from −127 to 127 in blocks of 128 numbers in row-major order, the last block shorter
 *   where need be; beside it `<name>#scale`, dtype F32, one s a block; the number is s·q. 1.03 bytes a number.
 *
 * Little endian. Decoding is one product in float32, so that every machine gets the same bits.
 */

export const CODECS = ['f32', 'bf16', 'int8'] as const;
export type Codec = (typeof CODECS)[number];

/** Numbers that share a scale. */
export const BLOCK = 128;
const LARGEST_CODE = 127;
/** Below it a float32 has fewer digits, so that a scale may be rounded down by more than its last place. */
const SMALLEST_NORMAL = 2 ** -126;

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
  encodeInto: (numbers, { bytes, scales }) => {
    if (scales === null) throw new TypeError('Codes need a place for their scales.');
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    // Magnitudes of floats are ordered like their bits, those of what is no number above all others.
    const bits = new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    for (let block = 0; block < scales.length; block++) {
      const from = block * BLOCK;
      const to = Math.min(from + BLOCK, numbers.length);
      let largest = 0;
      for (let i = from; i < to; i++) {
        const magnitude = bits[i] & 0x7fff_ffff;
        if (magnitude > largest) largest = magnitude;
      }
      const scale = Math.fround(floatOf(largest) / LARGEST_CODE);
      scales[block] = scale;
      if (scale === 0) {
        codes.fill(0, from, to); // zeros, or numbers too small to tell from them
      } else if (scale >= SMALLEST_NORMAL) {
        for (let i = from; i < to; i++) codes[i] = Math.floor(numbers[i] / scale + 0.5);
      } else {
        // A scale that was rounded down would ask for 128.
        for (let i = from; i < to; i++) {
          codes[i] = Math.max(-LARGEST_CODE, Math.min(LARGEST_CODE, Math.round(numbers[i] / scale)));
        }
      }
    }
  },
  decodeInto: ({ bytes, scales }, numbers) => {
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let from = 0, block = 0; from < codes.length; from += BLOCK, block++) {
      const scale = scales?.[block] ?? NaN;
      const to = Math.min(from + BLOCK, codes.length);
      for (let i = from; i < to; i++) numbers[i] = codes[i] * scale;
    }
  },
  addInto: ({ bytes, scales }, numbers, sign) => {
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let from = 0, block = 0; from < codes.length; from += BLOCK, block++) {
      const scale = sign * (scales?.[block] ?? NaN);
      const to = Math.min(from + BLOCK, codes.length);
      for (let i = from; i < to; i++) numbers[i] += Math.fround(codes[i] * scale);
    }
  },
};

/** Adds `weight` times what a receiver makes of codes. A loop of its own, because it sees every number of every update. */
export function addScaledCodes(sum: Float64Array, { bytes, scales }: EncodedNumbers, weight: number): void {
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let from = 0, block = 0; from < codes.length; from += BLOCK, block++) {
    const scale = scales?.[block] ?? NaN;
    const to = Math.min(from + BLOCK, codes.length);
    for (let i = from; i < to; i++) sum[i] += weight * Math.fround(codes[i] * scale);
  }
}

export const NUMBER_FORMATS: Readonly<Record<Codec, NumberFormat>> = { f32, bf16, int8 };

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

const oneFloat = new Float32Array(1);
const oneFloatBits = new Int32Array(oneFloat.buffer);

function floatOf(bits: number): number {
  oneFloatBits[0] = bits;
  return oneFloat[0];
}
