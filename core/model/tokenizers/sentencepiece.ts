/**
 * @file SentencePiece's tokenizers (Kudo and Richardson, 2018), as Llama 2, TinyLlama and Mistral use them: pieces over
 * characters, blanks written as ▁, bytes as a last resort.
 */

import type { Encoding, Tokenizer } from '../tokenizer.ts';
import { createSections } from './added.ts';
import type { AddedToken } from './added.ts';
import { textOfBytes } from './bytes.ts';
import { createMerges } from './merges.ts';
import type { Merges } from './merges.ts';

const BLANK = '▁';

/** A piece of a text by its characters, start inclusive; `id` is null where no token fits. */
export interface Segment {
  readonly id: number | null;
  readonly start: number;
  readonly end: number;
}

export interface SentencePieceDescription {
  /** By id; a byte token is written `<0xE2>`. */
  readonly tokens: readonly (string | undefined)[];
  readonly added: readonly AddedToken[];
  /** Cuts a text into tokens, by its characters. */
  readonly segment: (characters: readonly string[]) => readonly Segment[];
  /** Stands for characters that have neither a token nor tokens of their bytes; null: such are dropped. */
  readonly unknown: number | null;
  /** Whether a blank is put before a section of ordinary text that begins at `start`. */
  readonly prefix: (section: string, start: number) => boolean;
  /** Whether decoding takes away the blank that was put before a text. */
  readonly stripsPrefix: boolean;
  /** Whether merging stops before each blank. */
  readonly splitsWords: boolean;
  readonly endOfSequence: Tokenizer['endOfSequence'];
  readonly beginningOfSequence: Tokenizer['beginningOfSequence'];
  readonly padding: number;
}

/**
 * A tokenizer from its tables. The blank that is put before a text belongs to the first token and has no width; each
 * token of a character's bytes has the range of the character.
 */
export function createSentencePieceTokenizer(description: SentencePieceDescription): Tokenizer {
  const { tokens, unknown } = description;
  const added = new Map(description.added.map((token) => [token.id, token]));
  const bytes = new Map<number, number>();
  tokens.forEach((text, id) => {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(text ?? '')?.[1];
    if (byte !== undefined && !added.has(id)) bytes.set(id, parseInt(byte, 16));
  });
  const byteIds = new Map([...bytes].map(([id, byte]) => [byte, id]));
  const forEachSection = createSections(description.added);

  /** Ids of a character that is no token. */
  const fallBack = (character: string): number[] => {
    const ids = Array.from(Buffer.from(character), (byte) => byteIds.get(byte));
    const found = ids.filter((id) => id !== undefined);
    return found.length === ids.length ? found : unknown === null ? [] : [unknown];
  };

  const encode = (text: string, options: { special: boolean }): Encoding => {
    const ids: number[] = [];
    const offsets: [number, number][] = [];
    const push = (id: number, start: number, end: number): void => {
      const last = offsets.at(-1);
      if (id === unknown && ids.at(-1) === unknown && last?.[1] === start) last[1] = end;
      else {
        ids.push(id);
        offsets.push([start, end]);
      }
    };
    const word = (characters: readonly string[], from: number, first: number): void => {
      let at = from;
      for (const { id, start, end } of description.segment(characters)) {
        const part = characters.slice(start, end).join('');
        const range = [Math.max(at, first), Math.max(at + part.length, first)] as const;
        for (const one of id === null ? fallBack(part) : [id]) push(one, ...range);
        at += part.length;
      }
    };
    forEachSection(text, options.special, {
      token: push,
      ordinary: (start, end) => {
        // A surrogate without its partner has no UTF-8.
        const section = text.slice(start, end).replace(/\p{Surrogate}/gu, '\ufffd');
        const isPrefixed = description.prefix(section, start);
        const escaped = (isPrefixed ? BLANK : '') + section.replaceAll(' ', BLANK);
        let from = isPrefixed ? start - 1 : start;
        for (const part of description.splitsWords ? escaped.split(/(?=▁)/u) : [escaped]) {
          word(Array.from(part), from, start);
          from += part.length;
        }
      },
    });
    return { ids, offsets };
  };

  const decode = (ids: readonly number[], options: { skipSpecial?: boolean } = {}): string => {
    const parts = ids.map((id) => {
      const special = added.get(id);
      if (special !== undefined) {
        return Buffer.from(options.skipSpecial === true && special.control ? '' : special.text);
      }
      const byte = bytes.get(id);
      return byte === undefined ? Buffer.from((tokens[id] ?? '').replaceAll(BLANK, ' ')) : Buffer.of(byte);
    });
    const text = textOfBytes(Buffer.concat(parts));
    return description.stripsPrefix && text.startsWith(' ') ? text.slice(1) : text;
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

/** Cuts by merging characters; one that no rule knows stays alone. */
export function segmentByMerges(merges: Merges): SentencePieceDescription['segment'] {
  return (characters) => {
    const { symbols, starts } = merges.merge(characters.map((character) => merges.find(character)));
    return symbols.map((symbol, index) => ({
      id: merges.idOf(symbol),
      start: starts[index],
      end: starts[index + 1] ?? characters.length,
    }));
  };
}

/**
 * Merge rules from the scores of tokens: two neighbours may join where the result is a token, the token of the
 * highest score first, leftmost among equals.
 * @param scores of each token of the vocabulary, by id
 */
export function mergesByScore(vocabulary: ReadonlyMap<string, number>, scores: readonly number[]): Merges {
  const distinct = [...new Set(Array.from(vocabulary.values(), (id) => scores[id]))];
  const ranks = new Map(distinct.sort((left, right) => right - left).map((score, rank) => [score, rank]));
  const rules: [string, string][] = [];
  const priorities: number[] = [];
  for (const [text, id] of vocabulary) {
    const characters = Array.from(text);
    for (let cut = 1, unit = 0; cut < characters.length; cut++) {
      unit += characters[cut - 1].length;
      const [left, right] = [text.slice(0, unit), text.slice(unit)];
      if (cut > 1 && !vocabulary.has(left)) continue;
      if (cut < characters.length - 1 && !vocabulary.has(right)) continue;
      rules.push([left, right]);
      priorities.push(ranks.get(scores[id]) ?? 0);
    }
  }
  return createMerges(vocabulary, rules, priorities);
}
