/**
 * @file The loops that see every number of every update, as a WebAssembly module on vectors of 128 bits: for the
 * same loops over typed arrays V8 makes code that takes one number at a time.
 * They work on a piece of a tensor in a memory of their own, small enough for the processor's cache.
 */

import * as wasm from './assembler.ts';
import type { Code, WasmFunction } from './assembler.ts';

/** Numbers of a block of codes, which share a scale. */
export const BLOCK = 128;
/** Numbers that are worked on at a time. */
export const PIECE = 64 * BLOCK;
const LARGEST_CODE = 127;

/** Where everything lies in the memory: numbers in float32, codes, scales, and numbers in float64. */
const FIRST = 0;
const SECOND = FIRST + 4 * PIECE;
const THIRD = SECOND + 4 * PIECE;
const CODES = THIRD + 4 * PIECE;
const SCALES = CODES + PIECE;
const WIDE = SCALES + (4 * PIECE) / BLOCK;
const PAGES = Math.ceil((WIDE + 8 * PIECE) / 2 ** 16);

const { get, set, advance, loopWhileBelow } = wasm;
const splat = (value: number): Code => wasm.i32Splat(wasm.i32(value));

/** encode(end of the scales): codes of FIRST and their scales. */
function encode(): WasmFunction {
  const [scalesEnd, at, end, code, scale, four, inverse, ratio] = [0, 1, 2, 3, 4, 5, 6, 7];
  const folded = (lanes: number[]): Code =>
    set(four, wasm.i32Max(get(four), wasm.shuffle32(lanes, get(four), get(four))));
  const isZero = wasm.f32Equal(get(ratio), wasm.f32(0));
  // ⌊x / scale + ½⌋. A quotient of two float32 is a tie or at least 2⁻²⁵ from one: a little more than a half makes the
  // product with the inverse, which is off by at most 2⁻⁴⁵, fall on the same side.
  const half = wasm.f64Splat(wasm.f64(0.5 + 2 ** -30));
  const codes = (offset: number): Code => {
    const two = wasm.f64FromLowF32(wasm.loadHalf(offset, get(at)));
    return wasm.i32FromF64(wasm.f64Floor(wasm.f64Add(wasm.f64Multiply(two, get(inverse)), half)));
  };
  return {
    parameters: ['i32'],
    locals: ['i32', 'i32', 'i32', 'i32', 'v128', 'v128', 'f32'],
    body: [
      set(code, wasm.i32(CODES)),
      set(scale, wasm.i32(SCALES)),
      loopWhileBelow(
        ...[scale, scalesEnd],
        set(end, wasm.sum(get(at), wasm.i32(4 * BLOCK))),
        set(four, splat(0)),
        // Magnitudes of floats are ordered like their bits, those of what is no number above all others.
        loopWhileBelow(
          ...[at, end],
          set(four, wasm.i32Max(get(four), wasm.and(wasm.load(0, get(at)), splat(0x7fff_ffff)))),
          advance(at, 16),
        ),
        ...[folded([2, 3, 0, 1]), folded([1, 0, 3, 2])],
        set(ratio, wasm.f32Divide(wasm.f32FromBits(wasm.firstI32(get(four))), wasm.f32(LARGEST_CODE))),
        wasm.f32Store(0, get(scale), get(ratio)),
        // Zeros, or numbers too small to tell from them, become 0.
        set(ratio, wasm.select(wasm.f32(Infinity), get(ratio), isZero)),
        set(inverse, wasm.f64Splat(wasm.f64Divide(wasm.f64(1), wasm.f64FromF32(get(ratio))))),
        advance(at, -4 * BLOCK),
        loopWhileBelow(
          ...[at, end],
          set(four, wasm.shuffle32([0, 1, 4, 5], codes(0), codes(8))),
          // A scale that was rounded down would ask for 128.
          set(four, wasm.i32Max(wasm.i32Min(get(four), splat(LARGEST_CODE)), splat(-LARGEST_CODE))),
          set(four, wasm.narrow32To16(get(four), get(four))),
          wasm.storeQuarter(0, get(code), wasm.narrow16To8(get(four), get(four))),
          ...[advance(at, 16), advance(code, 4)],
        ),
        advance(scale, 4),
      ),
    ],
  };
}

/** addCodes(end of the scales, sign): FIRST += code · (sign · scale) in float32. */
function addCodes(): WasmFunction {
  const [scalesEnd, sign, at, end, code, scale, eight, factor] = [0, 1, 2, 3, 4, 5, 6, 7];
  const added = (offset: number, widened: Code): Code => {
    const product = wasm.f32Multiply(wasm.f32FromI32(widened), get(factor));
    return wasm.store(offset, get(at), wasm.f32Add(wasm.load(offset, get(at)), product));
  };
  return {
    parameters: ['i32', 'f32'],
    locals: ['i32', 'i32', 'i32', 'i32', 'v128', 'v128'],
    body: [
      set(code, wasm.i32(CODES)),
      set(scale, wasm.i32(SCALES)),
      loopWhileBelow(
        ...[scale, scalesEnd],
        set(factor, wasm.f32Multiply(wasm.load32Splat(0, get(scale)), wasm.f32Splat(get(sign)))),
        set(end, wasm.sum(get(at), wasm.i32(4 * BLOCK))),
        loopWhileBelow(
          ...[at, end],
          set(eight, wasm.load8x8(0, get(code))),
          ...[added(0, wasm.widenLow16To32(get(eight))), added(16, wasm.widenHigh16To32(get(eight)))],
          ...[advance(at, 32), advance(code, 8)],
        ),
        advance(scale, 4),
      ),
    ],
  };
}

/** addScaledCodes(end of the scales, weight): WIDE += weight · (code · scale), the last product in float32. */
function addScaledCodes(): WasmFunction {
  const [scalesEnd, weight, at, end, code, scale, eight, factor, four] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const added = (offset: number, two: Code): Code => {
    const product = wasm.f64Multiply(wasm.f64FromLowF32(two), wasm.f64Splat(get(weight)));
    return wasm.store(offset, get(at), wasm.f64Add(wasm.load(offset, get(at)), product));
  };
  const addedFour = (offset: number, widened: Code): Code[] => [
    set(four, wasm.f32Multiply(wasm.f32FromI32(widened), get(factor))),
    added(offset, get(four)),
    added(offset + 16, wasm.shuffle32([2, 3, 2, 3], get(four), get(four))),
  ];
  return {
    parameters: ['i32', 'f64'],
    locals: ['i32', 'i32', 'i32', 'i32', 'v128', 'v128', 'v128'],
    body: [
      set(at, wasm.i32(WIDE)),
      set(code, wasm.i32(CODES)),
      set(scale, wasm.i32(SCALES)),
      loopWhileBelow(
        ...[scale, scalesEnd],
        set(factor, wasm.load32Splat(0, get(scale))),
        set(end, wasm.sum(get(at), wasm.i32(8 * BLOCK))),
        loopWhileBelow(
          ...[at, end],
          set(eight, wasm.load8x8(0, get(code))),
          ...addedFour(0, wasm.widenLow16To32(get(eight))),
          ...addedFour(32, wasm.widenHigh16To32(get(eight))),
          ...[advance(at, 64), advance(code, 8)],
        ),
        advance(scale, 4),
      ),
    ],
  };
}

/** addDifference(end of FIRST): FIRST += SECOND − THIRD, computed in float64. */
function addDifference(): WasmFunction {
  const [end, at] = [0, 1];
  const two = (offset: number): Code => wasm.f64FromLowF32(wasm.loadHalf(offset, get(at)));
  const added = (offset: number): Code => {
    const difference = wasm.f64Subtract(two(SECOND + offset), two(THIRD + offset));
    return wasm.storeHalf(offset, get(at), wasm.f32FromF64(wasm.f64Add(two(offset), difference)));
  };
  return {
    parameters: ['i32'],
    locals: ['i32'],
    body: [loopWhileBelow(at, end, added(0), added(8), advance(at, 16))],
  };
}

/** A walk over FIRST up to an end, and over WIDE beside it; `two` handles two numbers at an offset from both places. */
function besideWide(two: (offset: number, places: { at: number; wide: number }) => Code): WasmFunction {
  const [end, at, wide] = [0, 1, 2];
  const both = [two(0, { at, wide }), two(8, { at, wide })];
  return {
    parameters: ['i32'],
    locals: ['i32', 'i32'],
    body: [set(wide, wasm.i32(WIDE)), loopWhileBelow(at, end, ...both, advance(at, 16), advance(wide, 32))],
  };
}

/** addToWide(end of FIRST): WIDE += FIRST. */
function addToWide(): WasmFunction {
  return besideWide((offset, { at, wide }) => {
    const added = wasm.f64FromLowF32(wasm.loadHalf(offset, get(at)));
    const sum = wasm.f64Add(wasm.load(2 * offset, get(wide)), added);
    return wasm.store(2 * offset, get(wide), sum);
  });
}

/** subtractFromWide(end of FIRST): FIRST = WIDE − SECOND, computed in float64. */
function subtractFromWide(): WasmFunction {
  return besideWide((offset, { at, wide }) => {
    const second = wasm.f64FromLowF32(wasm.loadHalf(SECOND + offset, get(at)));
    const difference = wasm.f64Subtract(wasm.load(2 * offset, get(wide)), second);
    return wasm.storeHalf(offset, get(at), wasm.f32FromF64(difference));
  });
}

/** Neither Node's types nor ES2023's know it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  encode(scalesEnd: number): void;
  addCodes(scalesEnd: number, sign: number): void;
  addScaledCodes(scalesEnd: number, weight: number): void;
  addDifference(end: number): void;
  addToWide(end: number): void;
  subtractFromWide(end: number): void;
}

export const kernels = new WebAssembly.Instance(
  new WebAssembly.Module(
    wasm.assemble(PAGES, {
      encode: encode(),
      addCodes: addCodes(),
      addScaledCodes: addScaledCodes(),
      addDifference: addDifference(),
      addToWide: addToWide(),
      subtractFromWide: subtractFromWide(),
    }),
  ),
).exports as Exports;

/** The memory's parts. */
export const memory = {
  first: new Float32Array(kernels.memory.buffer, FIRST, PIECE),
  second: new Float32Array(kernels.memory.buffer, SECOND, PIECE),
  third: new Float32Array(kernels.memory.buffer, THIRD, PIECE),
  codes: new Uint8Array(kernels.memory.buffer, CODES, PIECE),
  scales: new Float32Array(kernels.memory.buffer, SCALES, PIECE / BLOCK),
  wide: new Float64Array(kernels.memory.buffer, WIDE, PIECE),
};

/** Where so many numbers, or scales, end in the memory. */
export const endOfFirst = (count: number): number => FIRST + 4 * count;
export const endOfScales = (count: number): number => SCALES + 4 * count;
