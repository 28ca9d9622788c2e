/** @file Maps Hugging Face's `config.json` to the model configuration. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { ModelConfiguration, RopeScaling } from './configuration.ts';

const size = z.number().int().positive();
/** Rope fields of both forms: `rope_scaling` (transformers 4) and `rope_parameters` (transformers 5). */
const ropeFields = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});
type RopeFields = z.infer<typeof ropeFields>;

const fields = z.object({
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeFields.nullish(),
  rope_parameters: ropeFields.nullish(),
  hidden_act: z.string().default('silu'),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().default(false),
});

/** Values of `model_type` that are read, with what they imply. */
const modelTypes: Readonly<Record<string, { readonly attentionBias: boolean }>> = {
  llama: { attentionBias: false },
  qwen2: { attentionBias: true },
};

/**
 * @param json the parsed `config.json`
 * @param path for messages
 * @throws TributaryError `model.unsupported-architecture`, `model.damaged`
 */
export function configurationFromHuggingFace(json: unknown, path: string): ModelConfiguration {
  const unsupported = (what: string) =>
    new TributaryError('model.unsupported-architecture', `${path} asks for ${what}, which is not supported.`);
  const named = z.object({ model_type: z.string() }).safeParse(json);
  if (named.success && !Object.hasOwn(modelTypes, named.data.model_type)) {
    throw unsupported(`the architecture ${named.data.model_type}`);
  }
  const parsed = fields.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new TributaryError(
      'model.damaged',
      `${path}: the field ${issue.path.join('.')} is wrong: ${issue.message}.`,
    );
  }
  const values = parsed.data;
  if (values.hidden_act !== 'silu') throw unsupported(`the activation ${values.hidden_act}`);
  if (values.mlp_bias) throw unsupported('a bias in the MLP');
  if (values.attention_bias && values.model_type === 'llama') throw unsupported('a bias in the attention');
  if (values.use_sliding_window) throw unsupported('a sliding window');
  const heads = values.num_attention_heads;
  const headSize = values.head_dim ?? values.hidden_size / heads;
  if (!Number.isInteger(headSize) || headSize % 2 !== 0) {
    throw new TributaryError('model.damaged', `${path}: heads of size ${headSize} cannot be rotated.`);
  }
  const keyValueHeads = values.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0) {
    throw new TributaryError(
      'model.damaged',
      `${path}: ${heads} heads cannot share ${keyValueHeads} key–value heads.`,
    );
  }
  const rope = values.rope_parameters ?? values.rope_scaling ?? {};
  return {
    modelType: values.model_type,
    hiddenSize: values.hidden_size,
    intermediateSize: values.intermediate_size,
    layers: values.num_hidden_layers,
    attentionHeads: heads,
    keyValueHeads,
    headSize,
    vocabularySize: values.vocab_size,
    maximumPositions: values.max_position_embeddings,
    rmsNormEpsilon: values.rms_norm_eps,
    ropeTheta: rope.rope_theta ?? values.rope_theta ?? 10000,
    ropeScaling: scaling(rope, path),
    tiedEmbedding: values.tie_word_embeddings,
    attentionBias: modelTypes[values.model_type].attentionBias,
  };
}

function scaling(rope: RopeFields, path: string): RopeScaling | null {
  const type = rope.rope_type ?? rope.type ?? 'default';
  if (type === 'default') return null;
  if (type !== 'llama3') {
    throw new TributaryError(
      'model.unsupported-architecture',
      `${path} asks for rope scaling ${type}, not supported.`,
    );
  }
  const {
    factor,
    low_freq_factor: low,
    high_freq_factor: high,
    original_max_position_embeddings: length,
  } = rope;
  if (factor === undefined || low === undefined || high === undefined || length === undefined) {
    throw new TributaryError(
      'model.damaged',
      `${path}: the rope scaling llama3 lacks one of its four parameters.`,
    );
  }
  return {
    type: 'llama3',
    factor,
    lowFrequencyFactor: low,
    highFrequencyFactor: high,
    originalMaximumPositions: length,
  };
}
