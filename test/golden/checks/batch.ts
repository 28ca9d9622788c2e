/** @file sft.json: question and answer pairs become exactly these ids and labels. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { paddedBatch, UNSUPERVISED } from '../../../core/engine/batch.ts';
import { createChatTemplate } from '../../../core/model/chat-template.ts';
import { openGguf } from '../../../core/model/gguf.ts';
import { tokenizerFromGguf } from '../../../core/model/tokenizers/from-gguf.ts';
import { parseRowFor } from '../../../core/training/examples.ts';
import { makeTemplate } from '../../../core/training/templates.ts';
import type { RenderChat } from '../../../core/training/templates.ts';
import { tokenizeExamples } from '../../../core/training/tokens.ts';
import type { Check } from '../check.ts';

const matrix = z.array(z.array(z.number()));
const fileShape = z.object({
  qa: z.array(z.record(z.string(), z.string())),
  batch: z.object({ input_ids: matrix, attention_mask: matrix, labels: matrix }),
  pad_id: z.number(),
  supervised_tokens: z.number(),
});

/** Builds the batch with the model's own tokenizer and chat template. */
export function checkBatch(file: string, model: string): Check[] {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const gguf = openGguf(model);
  const tokenizer = tokenizerFromGguf(gguf);
  const source = z.string().parse(gguf.metadata.get('tokenizer.chat_template'));
  gguf.close();
  const endOfSequence = tokenizer.endOfSequence.text;
  const chat = createChatTemplate(source, { beginningOfSequence: '', endOfSequence });
  const renderChat: RenderChat = (messages, options) => chat.render(messages, options);
  const template = makeTemplate('chat', { renderChat, endOfSequence });
  const rows = expected.qa.map((row) => parseRowFor('sft', row));
  const { examples } = tokenizeExamples(rows, { template, tokenizer, maxLength: 512 });
  const batch = paddedBatch(examples, expected.pad_id);
  const labels = new Int32Array(batch.ids.length).fill(UNSUPERVISED);
  batch.targets.places.forEach((place, index) => (labels[place + 1] = batch.targets.labels[index]));
  const mask = new Uint8Array(batch.ids.length);
  for (const { row, start, length } of batch.segments) {
    mask.fill(1, row * batch.length + start, row * batch.length + start + length);
  }
  return [
    compare('batch ids', batch.ids, expected.batch.input_ids.flat()),
    compare('batch labels', labels, expected.batch.labels.flat()),
    compare('batch mask', mask, expected.batch.attention_mask.flat()),
    compare('supervised tokens', [batch.targets.places.length], [expected.supervised_tokens]),
  ];
}

function compare(name: string, got: ArrayLike<number>, expected: readonly number[]): Check {
  if (got.length !== expected.length) {
    return { name, status: 'failed', detail: `${got.length} values, expected ${expected.length}` };
  }
  const at = expected.findIndex((value, index) => value !== got[index]);
  if (at < 0) return { name, status: 'passed' };
  return { name, status: 'failed', detail: `value ${at} is ${got[at]}, expected ${expected[at]}` };
}
