/** @file Maps Hugging Face's `config.json` to the model configuration. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { Architecture } from './architectures/architecture.ts';
import { architectures } from './architectures/table.ts';
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
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().default(false),
  max_window_layers: z.number().int().nonnegative().default(28),
  layer_types: z.array(z.string()).nullish(),
});

/**
 * @param json the parsed `config.json`
 * @param path for messages
 * @throws TributaryError `model.unsupported-architecture`, `model.damaged`
 */
export function configurationFromHuggingFace(json: unknown, path: string): ModelConfiguration {
  const unsupported = (what: string) =>
    new TributaryError('model.unsupported-architecture', `${path} asks for ${what}, which is not supported.`);
  const name = z.object({ model_type: z.string() }).safeParse(json).data?.model_type;
  const architecture = architectures.find(({ modelType }) => modelType === name);
  if (name !== undefined && architecture === undefined) throw unsupported(`the architecture ${name}`);
  const parsed = fields.safeParse(json);
  if (!parsed.success || architecture === undefined) {
    const issue = parsed.error?.issues[0];
    const what = issue
      ? `the field ${issue.path.join('.')} is wrong: ${issue.message}`
      : 'it names no model_type';
    throw new TributaryError('model.damaged', `${path}: ${what}.`);
  }
  const values = parsed.data;
  if (values.hidden_act !== 'silu') throw unsupported(`the activation ${values.hidden_act}`);
  if (values.mlp_bias) throw unsupported('a bias in the MLP');
  if (values.attention_bias && !architecture.attentionBias) throw unsupported('a bias in the attention');
  const window = slidingWindow(values, architecture);
  if (window === 'mixed') throw unsupported('a sliding window in some of its layers');
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
    modelType: architecture.modelType,
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
    attentionBias: architecture.attentionBias,
    ...(architecture.headNorms && { headNorms: true }),
    ...(window !== null && { slidingWindow: window }),
  };
}

/** The window of every layer, null where none has one, or that they differ. */
function slidingWindow(values: z.infer<typeof fields>, architecture: Architecture): number | null | 'mixed' {
  const rule = architecture.slidingWindow;
  if (rule === 'never') return null;
  if (rule !== 'switched')
    return values.sliding_window === undefined ? rule.byDefault : values.sliding_window;
  const { use_sliding_window: switched, sliding_window: window = 4096 } = values;
  if (!switched || window === null) return null;
  const layers = values.num_hidden_layers;
  const sliding =
    values.layer_types?.filter((type) => type === 'sliding_attention').length ??
    Math.max(0, layers - values.max_window_layers);
  return sliding === 0 ? null : sliding === layers ? window : 'mixed';
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
