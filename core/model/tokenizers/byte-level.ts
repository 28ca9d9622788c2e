/** @file Byte-level BPE, the tokenizer of GPT-2 and of most models since. */

import type { Encoding, Tokenizer } from '../tokenizer.ts';
import { createSections } from './added.ts';
import type { AddedToken } from './added.ts';
import { byteCharacters, bytesOfToken, textOfBytes, utf8Of } from './bytes.ts';
import { createMerges } from './merges.ts';
import { composed } from './normalisation.ts';
import { forEachPiece } from './splits.ts';
import type { Split } from './splits.ts';

export interface ByteLevelDescription {
  /** By id, in GPT-2's characters for bytes; entries of added tokens are not read. */
  readonly tokens: readonly (string | undefined)[];
  readonly merges: Iterable<readonly [string, string]>;
  readonly added: readonly AddedToken[];
  readonly split: Split;
  /** Whether a piece that is a token is taken whole, whatever the merges (Llama 3). */
  readonly wholePieces: boolean;
  /** Whether text is composed (NFC) first. */
  readonly compose: boolean;
  readonly endOfSequence: Tokenizer['endOfSequence'];
  readonly beginningOfSequence: Tokenizer['beginningOfSequence'];
  readonly padding: number;
}

interface Piece {
  readonly ids: readonly number[];
  /** In UTF-16 units of the piece. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const MOST_CACHED = 65536;
const LONGEST_CACHED = 64;

/**
 * A tokenizer from its tables. Ids of invalid pieces: a byte without a token of its own is dropped, as llama.cpp
 * does; a token that covers part of a character has the range of the whole character.
 */
export function createByteLevelTokenizer(description: ByteLevelDescription): Tokenizer {
  const { tokens, split, compose } = description;
  const added = new Map(description.added.map((token) => [token.id, token]));
  const vocabulary = new Map<string, number>();
  tokens.forEach((text, id) => {
    if (text !== undefined && !added.has(id) && !vocabulary.has(text)) vocabulary.set(text, id);
  });
  const encodePiece = createPieceEncoder(description, vocabulary);
  const forEachSection = createSections(description.added);

  const encode = (original: string, options: { special: boolean }): Encoding => {
    const { text, origin } = compose ? composed(original) : { text: original, origin: null };
    const ids: number[] = [];
    const offsets: [number, number][] = [];
    const push = (id: number, start: number, end: number): void => {
      ids.push(id);
      offsets.push(origin === null ? [start, end] : [origin[start][0], origin[end - 1][1]]);
    };
    forEachSection(text, options.special, {
      token: push,
      ordinary: (base, until) => {
        const section = text.slice(base, until);
        forEachPiece(split, section, (start, end) => {
          const piece = encodePiece(section.slice(start, end));
          for (let index = 0; index < piece.ids.length; index++) {
            push(piece.ids[index], base + start + piece.starts[index], base + start + piece.ends[index]);
          }
        });
      },
    });
    return { ids, offsets };
  };

  const decode = (ids: readonly number[], options: { skipSpecial?: boolean } = {}): string => {
    const parts = ids.map((id) => {
      const special = added.get(id);
      if (special === undefined) return bytesOfToken(tokens[id] ?? '');
      return Buffer.from(options.skipSpecial === true && special.control ? '' : special.text);
    });
    return textOfBytes(Buffer.concat(parts));
  };

  return {
    vocabularySize: tokens.length,
    endOfSequence: description.endOfSequence,
    beginningOfSequence: description.beginningOfSequence,
    padding: description.padding,
    encode,
    decode,
  };
}

function createPieceEncoder(
  description: ByteLevelDescription,
  vocabulary: ReadonlyMap<string, number>,
): (piece: string) => Piece {
  const merges = createMerges(vocabulary, description.merges);
  const byteSymbols = byteCharacters.map((character) => merges.symbolOf(character));
  const cache = new Map<string, Piece>();

  const encodeAnew = (piece: string): Piece => {
    const { bytes, starts, ends } = utf8Of(piece);
    const whole = description.wholePieces
      ? vocabulary.get(Array.from(bytes, (byte) => byteCharacters[byte]).join(''))
      : undefined;
    if (whole !== undefined) return { ids: [whole], starts: [0], ends: [piece.length] };
    const merged = merges.merge(Array.from(bytes, (byte) => byteSymbols[byte]));
    const result = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    const push = (id: number | undefined, first: number, last: number): void => {
      if (id === undefined) return;
      result.ids.push(id);
      result.starts.push(starts[first]);
      result.ends.push(ends[last]);
    };
    merged.symbols.forEach((symbol, index) => {
      const first = merged.starts[index];
      const after = merged.starts[index + 1] ?? bytes.length;
      const text = merges.textOf(symbol);
      const id = vocabulary.get(text);
      if (id !== undefined) push(id, first, after - 1);
      else for (let at = first; at < after; at++) push(vocabulary.get(byteCharacters[bytes[at]]), at, at);
    });
    return result;
  };

  return (piece) => {
    const known = cache.get(piece);
    if (known !== undefined) return known;
    const encoded = encodeAnew(piece);
    if (piece.length <= LONGEST_CACHED) {
      if (cache.size >= MOST_CACHED) cache.clear();
      cache.set(piece, encoded);
    }
    return encoded;
  };
}
