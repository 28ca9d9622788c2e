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
  encode(numbers: Float32Array): EncodedNumbers;
  /** What a receiver makes of it. Numbers that are no numbers stay so: the caller looks. */
  decode(encoded: EncodedNumbers): Float32Array;
}

/** Where numbers of `size` bytes lie: in the bytes themselves, or in a copy where those do not begin at such a place. */
function aligned(bytes: Uint8Array, size: number) {
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : Uint8Array.from(bytes);
  return { buffer, offset: byteOffset, length: bytes.length / size };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array | Int8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

const f32: NumberFormat = {
  dtype: 'F32',
  bytesPerNumber: 4,
  hasScales: false,
  encode: (numbers) => ({ bytes: bytesOf(numbers), scales: null }),
  decode: ({ bytes }) => {
    const { buffer, offset, length } = aligned(bytes, 4);
    return new Float32Array(buffer, offset, length);
  },
};

const bf16: NumberFormat = {
  dtype: 'BF16',
  bytesPerNumber: 2,
  hasScales: false,
  encode: (numbers) => {
    const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    const halves = new Uint16Array(numbers.length);
    // Adds half of the last place that stays, a little less where that place is even; a carry goes the right way.
    for (let i = 0; i < halves.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
    return { bytes: bytesOf(halves), scales: null };
  },
  decode: ({ bytes }) => {
    const { buffer, offset, length } = aligned(bytes, 2);
    const halves = new Uint16Array(buffer, offset, length);
    const bits = new Uint32Array(length);
    for (let i = 0; i < length; i++) bits[i] = halves[i] << 16;
    return new Float32Array(bits.buffer);
  },
};

const int8: NumberFormat = {
  dtype: 'I8',
  bytesPerNumber: 1,
  hasScales: true,
  encode: (numbers) => {
    const scales = new Float32Array(blockCount(numbers.length));
    const codes = new Int8Array(numbers.length);
    for (let block = 0; block < scales.length; block++) {
      const from = block * BLOCK;
      const to = Math.min(from + BLOCK, numbers.length);
      let largest = 0;
      for (let i = from; i < to; i++) largest = Math.max(largest, Math.abs(numbers[i]));
      const scale = Math.fround(largest / LARGEST_CODE);
      if (scale === 0) continue; // zeros, or numbers too small to tell from them
      scales[block] = scale;
      for (let i = from; i < to; i++) {
        // A scale that was rounded down would ask for 128.
        codes[i] = Math.max(-LARGEST_CODE, Math.min(LARGEST_CODE, Math.round(numbers[i] / scale)));
      }
    }
    return { bytes: bytesOf(codes), scales };
  },
  decode: ({ bytes, scales }) => {
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    const numbers = new Float32Array(codes.length);
    for (let from = 0, block = 0; from < codes.length; from += BLOCK, block++) {
      const scale = scales?.[block] ?? NaN;
      const to = Math.min(from + BLOCK, codes.length);
      for (let i = from; i < to; i++) numbers[i] = codes[i] * scale;
    }
    return numbers;
  },
};

export const NUMBER_FORMATS: Readonly<Record<Codec, NumberFormat>> = { f32, bf16, int8 };

/** Scales that so many numbers have. */
export function blockCount(numbers: number): number {
  return Math.ceil(numbers / BLOCK);
}
