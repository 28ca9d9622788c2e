/** @file Golden vectors of core/model: unpacking, tokenizer, chat template. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { createChatTemplate } from '../../../core/model/chat-template.ts';
import { openGgufWeights } from '../../../core/model/gguf-weights.ts';
import { openGguf } from '../../../core/model/gguf.ts';
import { tokenizerFromGguf } from '../../../core/model/tokenizers/from-gguf.ts';
import { check } from '../check.ts';
import type { Check } from '../check.ts';

const dequantFile = z.object({
  tensors: z.array(
    z.object({
      name: z.string(),
      shape_row_major: z.array(z.number()),
      first_64: z.array(z.number()),
      last_8: z.array(z.number()),
      sum: z.number(),
      mean_abs: z.number(),
      max_abs: z.number(),
      min: z.number(),
      max: z.number(),
      sum_of_squares: z.number(),
      index_weighted_sum: z.number(),
      hf_layout: z
        .object({
          heads: z.number(),
          first_8_of_hf_row_1: z.array(z.number()),
          first_8_of_hf_row_32: z.array(z.number()),
        })
        .partial()
        .optional(),
    }),
  ),
});

const names: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'blk.0.attn_q.weight': 'model.layers.0.self_attn.q_proj.weight',
  'blk.15.attn_k.weight': 'model.layers.15.self_attn.k_proj.weight',
  'blk.0.ffn_down.weight': 'model.layers.0.mlp.down_proj.weight',
  'blk.29.ffn_up.weight': 'model.layers.29.mlp.up_proj.weight',
  'output_norm.weight': 'model.norm.weight',
};

/** Compares the unpacked tensors of a GGUF file with `dequant.json`; printed values have nine digits, which fix a float32. */
export function checkDequant(file: string, model: string): Check[] {
  const { tensors } = dequantFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  const store = openGgufWeights(openGguf(model));
  try {
    return tensors.map((expected) => {
      const [rows, columns = 1] = expected.shape_row_major;
      const unpermuted = store.readFloat32(names[expected.name]);
      const heads = expected.hf_layout?.heads ?? 0;
      const values = heads === 0 ? unpermuted : inFileOrder(unpermuted, { rows, columns, heads });
      const row = (index: number) => [...unpermuted.subarray(index * columns, index * columns + 8)];
      const layout = expected.hf_layout ?? {};
      return check(
        `dequant ${expected.name}`,
        differs('first 64', [...values.subarray(0, 64)], expected.first_64.map(Math.fround)) ??
          differs('last 8', [...values.subarray(-8)], expected.last_8.map(Math.fround)) ??
          differs('HF row 1', row(1), layout.first_8_of_hf_row_1?.map(Math.fround) ?? row(1)) ??
          differs('HF row 32', row(32), layout.first_8_of_hf_row_32?.map(Math.fround) ?? row(32)) ??
          differs(
            'statistics',
            statistics(values),
            [
              expected.sum,
              expected.mean_abs,
              expected.max_abs,
              expected.min,
              expected.max,
              expected.sum_of_squares,
              expected.index_weighted_sum,
            ],
            1e-8,
          ),
      );
    });
  } finally {
    store.close();
  }
}

/** Undoes the row order of Hugging Face's layout, independently of the reader under test. */
function inFileOrder(
  matrix: Float32Array,
  size: { rows: number; columns: number; heads: number },
): Float32Array {
  const head = size.rows / size.heads;
  const out = new Float32Array(matrix.length);
  for (let h = 0; h < size.heads; h++) {
    for (let p = 0; p < 2; p++) {
      for (let i = 0; i < head / 2; i++) {
        const from = (h * head + p * (head / 2) + i) * size.columns;
        out.set(matrix.subarray(from, from + size.columns), (h * head + 2 * i + p) * size.columns);
      }
    }
  }
  return out;
}

function statistics(values: Float32Array): number[] {
  let [sum, absolute, squares, weighted] = [0, 0, 0, 0];
  let [lowest, highest] = [Infinity, -Infinity];
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    sum += value;
    absolute += Math.abs(value);
    squares += value * value;
    weighted += value * ((index % 1009) + 1);
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  const largest = Math.max(-lowest, highest);
  return [sum, absolute / values.length, largest, lowest, highest, squares, weighted];
}

function differs(
  what: string,
  actual: readonly number[],
  expected: readonly number[],
  tolerance = 0,
): string | null {
  const index = expected.findIndex(
    (value, at) => !(Math.abs(actual[at] - value) <= tolerance * Math.abs(value)),
  );
  return index < 0 ? null : `${what}: entry ${index} is ${actual[index]}, expected ${expected[index]}`;
}

function* rows(file: string): Iterable<unknown> {
  for (const line of readFileSync(file, 'utf8').split('\n')) if (line !== '') yield JSON.parse(line);
}

const tokenizerRow = z.object({
  id: z.number(),
  category: z.string(),
  text: z.string(),
  parse_special: z.boolean(),
  ids: z.array(z.number()),
  decoded: z.string(),
});

/** Compares ids and decoded text of every row of `tokenizer.jsonl`, and that offsets run through the text in order. */
export function checkTokenizer(file: string, model: string): Check[] {
  const gguf = openGguf(model);
  try {
    const tokenizer = tokenizerFromGguf(gguf);
    return [...rows(file)].map((row) => {
      const { id, category, text, parse_special: special, ids, decoded } = tokenizerRow.parse(row);
      const encoded = tokenizer.encode(text, { special });
      const back = tokenizer.decode(ids);
      let end = 0;
      const disorder = encoded.offsets.find(([from, to], index) => {
        const overlap = from < end && encoded.offsets[index - 1]?.[1] !== to;
        end = to;
        return overlap || from >= to || to > text.length;
      });
      return check(
        `tokenizer ${id} ${category}`,
        JSON.stringify(encoded.ids) !== JSON.stringify(ids)
          ? `ids ${JSON.stringify(encoded.ids)}, expected ${JSON.stringify(ids)}`
          : back !== decoded
            ? `decoded ${JSON.stringify(back)}, expected ${JSON.stringify(decoded)}`
            : encoded.offsets.length !== ids.length || disorder !== undefined
              ? `offsets ${JSON.stringify(encoded.offsets)}`
              : null,
      );
    });
  } finally {
    gguf.close();
  }
}

const chatRow = z.object({
  id: z.number(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  add_generation_prompt: z.boolean(),
  text: z.string(),
  ids: z.array(z.number()),
});

/** Compares text and ids of every conversation of `chat-template.jsonl`. */
export function checkChatTemplate(file: string, model: string): Check[] {
  const gguf = openGguf(model);
  try {
    const tokenizer = tokenizerFromGguf(gguf);
    const template = createChatTemplate(z.string().parse(gguf.metadata.get('tokenizer.chat_template')), {
      beginningOfSequence: '',
      endOfSequence: tokenizer.endOfSequence.text,
    });
    return [...rows(file)].map((row) => {
      const expected = chatRow.parse(row);
      const text = template.render(expected.messages, { generationPrompt: expected.add_generation_prompt });
      const { ids } = tokenizer.encode(text, { special: true });
      return check(
        `chat template ${expected.id}`,
        text !== expected.text
          ? `text ${JSON.stringify(text)}, expected ${JSON.stringify(expected.text)}`
          : JSON.stringify(ids) !== JSON.stringify(expected.ids)
            ? `ids ${JSON.stringify(ids)}, expected ${JSON.stringify(expected.ids)}`
            : null,
      );
    });
  } finally {
    gguf.close();
  }
}
