/** @file Tokenizers other than byte-level BPE, through Hugging Face's library, with offsets found by alignment. */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { TributaryError } from '../../errors.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { alignTokens } from './alignment.ts';
import { bytesOfToken } from './bytes.ts';
import type { SequenceTokens, TokenizerJson } from './json-schema.ts';

/** @throws TributaryError `model.unsupported-tokenizer` */
export function createLibraryTokenizer(parts: {
  readonly tokenizer: TokenizerJson;
  readonly config: unknown;
  readonly sequence: SequenceTokens;
  readonly path: string;
}): Tokenizer {
  const { tokenizer, sequence } = parts;
  const config = typeof parts.config === 'object' && parts.config !== null ? parts.config : {};
  const literal = tokenizer.added_tokens.filter((token) => !token.special);
  let withSpecial: LibraryTokenizer;
  let withoutSpecial: LibraryTokenizer;
  try {
    withSpecial = new LibraryTokenizer(tokenizer, config);
    withoutSpecial = new LibraryTokenizer({ ...tokenizer, added_tokens: literal }, config);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TributaryError('model.unsupported-tokenizer', `${parts.path}: ${reason}.`, { cause });
  }
  const addedTexts = new Set(tokenizer.added_tokens.map((token) => token.content));
  const isByteLevel = JSON.stringify(tokenizer.decoder ?? null).includes('"ByteLevel"');
  const surface = (token: string): Buffer => {
    if (addedTexts.has(token)) return Buffer.from(token);
    if (isByteLevel) return bytesOfToken(token);
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) return Buffer.from([parseInt(byte, 16)]);
    return Buffer.from(token.replaceAll('▁', ' ').replace(/^##/, ''));
  };
  return {
    vocabularySize: Math.max(-1, ...withSpecial.get_vocab(true).values()) + 1,
    ...sequence,
    encode: (text, { special }) => {
      const encoded = (special ? withSpecial : withoutSpecial).encode(text, { add_special_tokens: false });
      return { ids: encoded.ids, offsets: alignTokens(text, encoded.tokens.map(surface)) };
    },
    decode: (ids, options = {}) =>
      ids.length === 0
        ? ''
        : withSpecial.decode([...ids], {
            skip_special_tokens: options.skipSpecial === true,
            clean_up_tokenization_spaces: false,
          }),
  };
}
