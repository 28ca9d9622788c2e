/**
 * @file Writes WebAssembly modules whose functions work on one memory: as much of the binary format as loops over
 * vectors of 128 bits need (webassembly.github.io/spec/core/binary and its instructions of vectors).
 */

/** Instructions, or parts of them, as bytes. */
export type Code = readonly number[];
export type ValueType = 'i32' | 'f32' | 'f64' | 'v128';

export interface WasmFunction {
  readonly parameters: readonly ValueType[];
  readonly locals: readonly ValueType[];
  /** Instructions one after the other; parameters and locals are numbered in this order, from 0. */
  readonly body: readonly Code[];
}

const TYPES: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const END = 0x0b;
const NO_RESULT = 0x40;

/** LEB128 of a number that is not negative. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

/** LEB128 of a number with a sign. */
function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

function vector(items: readonly Code[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(content: Code): number[] {
  return [...unsigned(content.length), ...content];
}

/** The module: a memory of so many pages of 64 KiB, `memory`, and functions without results. */
export function assemble(pages: number, functions: Readonly<Record<string, WasmFunction>>): Uint8Array {
  const list = Object.entries(functions);
  const text = (name: string): number[] => sized([...Buffer.from(name)]);
  const types = list.map(([, { parameters }]) => [0x60, ...vector(parameters.map((of) => [TYPES[of]])), 0]);
  const exported = list.map(([name], index) => [...text(name), 0, ...unsigned(index)]);
  const bodies = list.map(([, { locals, body }]) =>
    sized([...vector(locals.map((of) => [1, TYPES[of]])), ...body.flat(), END]),
  );
  const sections: [number, number[]][] = [
    [1, vector(types)],
    [3, vector(list.map((_, index) => unsigned(index)))],
    [5, vector([[0, ...unsigned(pages)]])],
    [7, vector([[...text('memory'), 2, 0], ...exported])],
    [10, vector(bodies)],
  ];
  const MAGIC_AND_VERSION = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([...MAGIC_AND_VERSION, ...sections.flatMap(([id, bytes]) => [id, ...sized(bytes)])]);
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, ...value: Code[]): Code => [...value.flat(), 0x21, ...unsigned(local)];
export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const f32 = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
export const f64 = (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)];

/** Of type i32. */
export const sum = (...operands: [Code, Code]): Code => [...operands.flat(), 0x6a];
/** Adds to a local of type i32. */
export const advance = (local: number, by: number): Code => set(local, sum(get(local), i32(by)));

/** Runs the body, and again as long as the local is below the other. */
export const loopWhileBelow = (local: number, limit: number, ...body: Code[]): Code => [
  ...[0x03, NO_RESULT],
  ...body.flat(),
  ...[...get(local), ...get(limit), 0x49],
  ...[0x0d, 0, END],
];

/** An instruction on operands. */
const on =
  (...opcode: number[]) =>
  (...operands: Code[]): Code => [...operands.flat(), ...opcode];
const onVectors = (opcode: number) => on(0xfd, ...unsigned(opcode));

export const f32Divide = on(0x95);
export const f32Equal = on(0x5b);
export const f64FromF32 = on(0xbb);
export const f64Divide = on(0xa3);
export const f32FromBits = on(0xbe);
/** The first where the third is not zero, else the second. */
export const select = on(0x1b);

/** Reads or writes at an address plus an offset, aligned to nothing in particular. */
const access =
  (...opcode: number[]) =>
  (offset: number, ...operands: Code[]): Code => [...operands.flat(), ...opcode, 0, ...unsigned(offset)];
const accessVector = (opcode: number) => access(0xfd, ...unsigned(opcode));

export const f32Store = access(0x38);
export const load = accessVector(0);
export const store = accessVector(11);
/** Eight signed bytes as numbers of 16 bits. */
export const load8x8 = accessVector(1);
/** A number of 32 bits into all lanes. */
export const load32Splat = accessVector(9);
/** Two lanes of 32 bits, with zeros above. */
export const loadHalf = accessVector(93);
/** The lowest 64 or 32 bits. */
export const storeHalf = (offset: number, ...operands: Code[]): Code => [
  ...accessVector(91)(offset, ...operands),
  0,
];
export const storeQuarter = (offset: number, ...operands: Code[]): Code => [
  ...accessVector(90)(offset, ...operands),
  0,
];

/** Lanes of 32 bits out of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
export const shuffle32 = (lanes: readonly number[], ...operands: Code[]): Code => [
  ...operands.flat(),
  ...[0xfd, 13],
  ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
];
/** The first lane of 32 bits. */
export const firstI32 = (operand: Code): Code => [...operand, 0xfd, 27, 0];
export const i32Splat = onVectors(17);
export const f32Splat = onVectors(19);
export const f64Splat = onVectors(20);
export const and = onVectors(78);
export const narrow32To16 = onVectors(133);
export const narrow16To8 = onVectors(101);
export const widenLow16To32 = onVectors(167);
export const widenHigh16To32 = onVectors(168);
export const i32Min = onVectors(182);
export const i32Max = onVectors(184);
export const f32Add = onVectors(228);
export const f32Multiply = onVectors(230);
export const f64Add = onVectors(240);
export const f64Subtract = onVectors(241);
export const f64Multiply = onVectors(242);
export const f64Floor = onVectors(117);
/** Two float64 as lanes of 32 bits, the nearest where they are beyond, 0 for what is no number. */
export const i32FromF64 = onVectors(252);
export const f32FromI32 = onVectors(250);
/** The lowest two lanes in float64. */
export const f64FromLowF32 = onVectors(95);
/** Two float64 as the lowest two lanes. */
export const f32FromF64 = onVectors(94);
