/** @file Finds which part of a text each token covers, for tokenizers that do not tell. */

import { utf8Of } from './bytes.ts';

/** How far ahead a token is looked for where the text was changed before it was cut into tokens. */
const REACH = 64;
const BLANK = 0x20;

/**
 * Walks through the UTF-8 of the text and its tokens together. A blank that the tokenizer put before a word is
 * ignored; a token that is found nowhere near (its characters were normalised) gets what lies between the tokens
 * around it. The result never runs backwards and stays inside the text.
 * @param surfaces the bytes that each token stands for
 * @returns for each token the half-open range of UTF-16 units
 */
export function alignTokens(text: string, surfaces: readonly Uint8Array[]): [number, number][] {
  const { bytes, starts, ends } = utf8Of(text);
  const ranges: ([number, number] | null)[] = [];
  let at = 0;
  for (const surface of surfaces) {
    const found = locate(bytes, surface, at);
    ranges.push(found);
    if (found !== null) at = found[1];
  }
  fillGaps(ranges, bytes.length);
  const unit = (byte: number): number => (byte < bytes.length ? starts[byte] : text.length);
  return ranges.map((range) => {
    const [from, to] = range ?? [0, 0];
    return from === to ? [unit(from), unit(from)] : [unit(from), ends[to - 1]];
  });
}

function locate(bytes: Uint8Array, surface: Uint8Array, from: number): [number, number] | null {
  const bare = surface[0] === BLANK ? surface.subarray(1) : surface;
  const matches = (candidate: Uint8Array, at: number): boolean =>
    at + candidate.length <= bytes.length && candidate.every((byte, index) => bytes[at + index] === byte);
  for (let at = from; at <= Math.min(bytes.length, from + REACH); at++) {
    if (surface.length > 0 && matches(surface, at)) return [at, at + surface.length];
    if (bare.length > 0 && bare.length < surface.length && matches(bare, at)) return [at, at + bare.length];
    if (surface.length === 1 && bare.length === 0) return [from, from];
  }
  return null;
}

/** Gives a run of tokens that were not found the bytes between its neighbours: the first has them, the rest none. */
function fillGaps(ranges: ([number, number] | null)[], end: number): void {
  let before = 0;
  for (let index = 0; index < ranges.length; index++) {
    const range = ranges[index];
    if (range !== null) {
      before = range[1];
      continue;
    }
    const after = ranges.slice(index).find((other) => other !== null)?.[0] ?? end;
    ranges[index] = [before, Math.max(before, after)];
    before = Math.max(before, after);
  }
}
