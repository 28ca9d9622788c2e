/** @file The tokenizer that a GGUF file carries in its metadata. */

import { z } from 'zod';
import { TributaryError } from '../../errors.ts';
import type { Gguf } from '../gguf.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { createByteLevelTokenizer } from './byte-level.ts';
import type { AddedToken } from './byte-level.ts';
import { namedSplits } from './splits.ts';

const id = z.number().int().nonnegative();
const fields = z.object({
  model: z.string(),
  pre: z.string().default('gpt-2'),
  tokens: z.array(z.string()).min(1),
  token_type: z.array(z.number()).default([]),
  merges: z.array(z.string()).default([]),
  eos_token_id: id,
  bos_token_id: id.optional(),
  padding_token_id: id.optional(),
  add_bos_token: z.boolean().default(false),
});

/** llama.cpp's kinds of token. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** @throws TributaryError `model.unsupported-tokenizer`, `model.damaged` */
export function tokenizerFromGguf(gguf: Gguf): Tokenizer {
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(fields.shape)) found[key] = gguf.metadata.get(`tokenizer.ggml.${key}`);
  const unsupported = (what: string) =>
    new TributaryError('model.unsupported-tokenizer', `${gguf.path} has ${what}, which is not supported.`);
  if (found['model'] === undefined) throw unsupported('no tokenizer');
  if (found['model'] !== 'gpt2')
    throw unsupported(`a tokenizer of the kind ${JSON.stringify(found['model'])}`);
  const parsed = fields.safeParse(found);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = `tokenizer.ggml.${issue.path.join('.')}`;
    throw new TributaryError(
      'model.damaged',
      `${gguf.path}: the metadata field ${field} is wrong: ${issue.message}.`,
    );
  }
  const values = parsed.data;
  if (!Object.hasOwn(namedSplits, values.pre)) throw unsupported(`the pre-tokenizer ${values.pre}`);
  const named = (name: string, index: number) => {
    if (index >= values.tokens.length) {
      throw new TributaryError('model.damaged', `${gguf.path}: ${name} is ${index}, beyond the vocabulary.`);
    }
    return { id: index, text: values.tokens[index] };
  };
  const added: AddedToken[] = [];
  values.token_type.forEach((type, index) => {
    const text = values.tokens[index] ?? '';
    if (text !== '' && (type === CONTROL || type === USER_DEFINED || type === UNKNOWN)) {
      added.push({ id: index, text, control: type !== USER_DEFINED });
    }
  });
  const endOfSequence = named('eos_token_id', values.eos_token_id);
  return createByteLevelTokenizer({
    tokens: values.tokens,
    merges: pairs(values.merges),
    added,
    split: namedSplits[values.pre],
    wholePieces: values.pre === 'llama-bpe',
    compose: false,
    endOfSequence,
    beginningOfSequence:
      values.add_bos_token && values.bos_token_id !== undefined
        ? named('bos_token_id', values.bos_token_id)
        : null,
    padding: named('padding_token_id', values.padding_token_id ?? endOfSequence.id).id,
  });
}

/** Merge rules are written "left right"; neither side holds a blank. */
function* pairs(merges: readonly string[]): Iterable<readonly [string, string]> {
  for (const merge of merges) {
    const blank = merge.indexOf(' ', 1);
    if (blank > 0) yield [merge.slice(0, blank), merge.slice(blank + 1)];
  }
}
