/** @file Writes a model as a Hugging Face folder that `openModel` opens again. */

import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError } from '../errors.ts';
import { writeFilesAtomically } from '../files.ts';
import type { ModelConfiguration } from './configuration.ts';
import type { Gguf } from './gguf.ts';
import { readModelJson } from './json.ts';
import { encodeSafetensors } from './safetensors.ts';
import type { NamedTensors } from './tensor.ts';

/** Files of a model's folder besides its weights, by name. */
export type ModelFiles = Readonly<Record<string, string | Uint8Array>>;

const CONFIGURATION = 'config.json';
/** A GGUF file without tensors: llama.cpp's form of a tokenizer on its own, with the chat template. */
export const TOKENIZER_GGUF = 'tokenizer.gguf';
const COPIED = [
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'chat_template.jinja',
  'generation_config.json',
  TOKENIZER_GGUF,
] as const;

/**
 * Writes the folder, all of its files or none, with the weights as float32 under Hugging Face's names.
 * @throws TributaryError `disk.full`, `file.*`
 */
export async function writeModelFolder(
  folder: string,
  model: { readonly files: ModelFiles; readonly tensors: NamedTensors },
): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const files = { ...model.files, 'model.safetensors': encodeSafetensors(model.tensors) };
    await writeFilesAtomically(folder, files, 0o644);
  } catch (error) {
    throw toTributaryError(error);
  }
}

/** The files of a Hugging Face folder; its configuration says float32, which the weights will be. */
export function folderFiles(folder: string): ModelFiles {
  const configuration = z.looseObject({}).parse(readModelJson(join(folder, CONFIGURATION)));
  const stale = ['torch_dtype', 'quantization_config'];
  const kept = Object.entries(configuration).filter(([field]) => !stale.includes(field));
  const files: Record<string, string | Uint8Array> = {};
  for (const name of COPIED) {
    const path = join(folder, name);
    if (existsSync(path)) files[name] = readFileSync(path);
  }
  return { [CONFIGURATION]: json({ ...Object.fromEntries(kept), dtype: 'float32' }), ...files };
}

/** The files for a model out of a GGUF file. */
export function filesOfGguf(gguf: Gguf, configuration: ModelConfiguration): ModelFiles {
  return { [CONFIGURATION]: json(configurationJson(configuration)), [TOKENIZER_GGUF]: metadataAlone(gguf) };
}

/** The header of a GGUF file with its metadata, which says that there are no tensors. */
function metadataAlone(gguf: Gguf): Uint8Array {
  const header = Buffer.from(gguf.read(0, gguf.metadataEnd));
  header.writeBigUInt64LE(0n, 8);
  return header;
}

/** `config.json` as transformers writes it. */
export function configurationJson(configuration: ModelConfiguration): Record<string, unknown> {
  const { modelType, ropeScaling: scaling, slidingWindow } = configuration;
  const name = { llama: 'Llama', mistral: 'Mistral', qwen2: 'Qwen2', qwen3: 'Qwen3' }[modelType] ?? modelType;
  return {
    architectures: [`${name}ForCausalLM`],
    model_type: modelType,
    hidden_size: configuration.hiddenSize,
    intermediate_size: configuration.intermediateSize,
    num_hidden_layers: configuration.layers,
    num_attention_heads: configuration.attentionHeads,
    num_key_value_heads: configuration.keyValueHeads,
    head_dim: configuration.headSize,
    vocab_size: configuration.vocabularySize,
    max_position_embeddings: configuration.maximumPositions,
    rms_norm_eps: configuration.rmsNormEpsilon,
    rope_theta: configuration.ropeTheta,
    rope_scaling: scaling && {
      rope_type: scaling.type,
      factor: scaling.factor,
      low_freq_factor: scaling.lowFrequencyFactor,
      high_freq_factor: scaling.highFrequencyFactor,
      original_max_position_embeddings: scaling.originalMaximumPositions,
    },
    hidden_act: 'silu',
    tie_word_embeddings: configuration.tiedEmbedding,
    sliding_window: slidingWindow ?? null,
    ...(slidingWindow !== undefined && { use_sliding_window: true, max_window_layers: 0 }),
    dtype: 'float32',
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The files of a model with a byte-level tokenizer without merges. */
export function filesOfBytes(
  configuration: ModelConfiguration,
  tokens: {
    readonly bytes: readonly string[];
    /** Special tokens, whose ids follow those of the bytes. */
    readonly special: readonly string[];
    readonly endOfSequence: string;
    readonly padding: string;
    readonly chatTemplate: string;
  },
): ModelFiles {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: tokens.special.map((content, index) => ({
      id: tokens.bytes.length + index,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      vocab: Object.fromEntries([...tokens.bytes, ...tokens.special].map((text, id) => [text, id])),
      merges: [],
    },
  };
  const settings = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: tokens.endOfSequence,
    pad_token: tokens.padding,
    chat_template: tokens.chatTemplate,
  };
  return {
    [CONFIGURATION]: json(configurationJson(configuration)),
    'tokenizer.json': json(tokenizer),
    'tokenizer_config.json': json(settings),
  };
}
