/** @file Writes the tokenizer of a Hugging Face folder into GGUF metadata, in the fields that llama.cpp reads. */

import type { GgufMetadata } from '../gguf-writer.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { byteLevelParts } from './from-json.ts';
import { tokenizerJson } from './json-schema.ts';
import { nameOfSplit } from './splits.ts';

/** llama.cpp's kinds of token. */
const [NORMAL, CONTROL, USER_DEFINED, UNUSED] = [1, 3, 4, 5];

/**
 * Whether it could be written: byte-level BPE whose way of cutting text llama.cpp has a name for. It composes no
 * letters (NFC) before it cuts, as Qwen's own tokenizer does: a text of separate accents differs there.
 * @param json the parsed `tokenizer.json`
 */
export function writeTokenizer(
  metadata: GgufMetadata,
  { json, tokenizer, rows }: { json: unknown; tokenizer: Tokenizer; rows: number },
): boolean {
  const parsed = tokenizerJson.safeParse(json);
  const parts = parsed.success ? byteLevelParts(parsed.data) : null;
  const pre = parts && nameOfSplit(parts.split);
  // llama.cpp takes pieces whole where it cuts as Llama 3, and nowhere else.
  if (!parts || pre === null || parts.wholePieces !== (pre === 'llama-bpe')) return false;
  const kinds = new Map(parts.added.map(({ id, control }) => [id, control ? CONTROL : USER_DEFINED]));
  const ids = Array.from({ length: rows }, (_, id) => id);
  const { endOfSequence, beginningOfSequence, padding } = tokenizer;
  metadata
    .string('tokenizer.ggml.model', 'gpt2')
    .string('tokenizer.ggml.pre', pre)
    .strings(
      'tokenizer.ggml.tokens',
      ids.map((id) => parts.tokens[id] ?? `[PAD${id}]`),
    )
    .integers(
      'tokenizer.ggml.token_type',
      ids.map((id) => kinds.get(id) ?? (parts.tokens[id] === undefined ? UNUSED : NORMAL)),
    )
    .strings(
      'tokenizer.ggml.merges',
      parts.merges.map((pair) => pair.join(' ')),
    )
    .uint32('tokenizer.ggml.eos_token_id', endOfSequence.id)
    .uint32('tokenizer.ggml.padding_token_id', padding)
    .boolean('tokenizer.ggml.add_bos_token', beginningOfSequence !== null);
  if (beginningOfSequence !== null) metadata.uint32('tokenizer.ggml.bos_token_id', beginningOfSequence.id);
  return true;
}
