/** @file Maps GGUF metadata to the model configuration. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { architectures } from './architectures/table.ts';
import type { ModelConfiguration, RopeScaling } from './configuration.ts';
import type { Gguf } from './gguf.ts';

const size = z.number().int().positive();
const fields = z.object({
  block_count: size,
  context_length: size,
  embedding_length: size,
  feed_forward_length: size,
  'attention.head_count': size,
  'attention.head_count_kv': size.optional(),
  'attention.key_length': size.optional(),
  'attention.value_length': size.optional(),
  'attention.layer_norm_rms_epsilon': z.number().positive(),
  'attention.sliding_window': z.number().int().nonnegative().default(0),
  'rope.freq_base': z.number().positive().default(10000),
  'rope.dimension_count': size.optional(),
  'rope.scaling.type': z.string().default('none'),
  expert_count: z.number().optional(),
});

/**
 * @param frequencyFactors values of `rope_freqs.weight` (Llama 3.x), or null
 * @throws TributaryError `model.unsupported-architecture`, `model.damaged`, `model.tensor-missing`
 */
export function configurationFromGguf(gguf: Gguf, frequencyFactors: Float32Array | null): ModelConfiguration {
  const name = gguf.metadata.get('general.architecture');
  const architecture = architectures.find(({ ggufName }) => ggufName !== null && ggufName === name);
  if (architecture === undefined) {
    throw unsupported(
      gguf,
      typeof name === 'string' ? `the architecture ${name}` : 'an unnamed architecture',
    );
  }
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(fields.shape)) found[key] = gguf.metadata.get(`${String(name)}.${key}`);
  const parsed = fields.safeParse(found);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = `${String(name)}.${issue.path.join('.')}`;
    throw new TributaryError(
      'model.damaged',
      `${gguf.path}: the metadata field ${field} is wrong: ${issue.message}.`,
    );
  }
  const values = parsed.data;
  const heads = values['attention.head_count'];
  const headSize = values['attention.key_length'] ?? values.embedding_length / heads;
  if (values.expert_count) throw unsupported(gguf, 'a mixture of experts');
  if ((values['rope.dimension_count'] ?? headSize) !== headSize)
    throw unsupported(gguf, 'partial rotary embedding');
  if ((values['attention.value_length'] ?? headSize) !== headSize)
    throw unsupported(gguf, 'values of another size');
  if (!['none', ''].includes(values['rope.scaling.type'])) {
    throw unsupported(gguf, `rope scaling of type ${values['rope.scaling.type']}`);
  }
  if (!Number.isInteger(headSize) || headSize % 2 !== 0) {
    throw new TributaryError('model.damaged', `${gguf.path}: heads of size ${headSize} cannot be rotated.`);
  }
  const embedding = gguf.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2) {
    throw new TributaryError('model.tensor-missing', `${gguf.path} has no matrix token_embd.weight.`);
  }
  const ropeTheta = values['rope.freq_base'];
  const slidingWindow = values['attention.sliding_window'];
  return {
    modelType: architecture.modelType,
    hiddenSize: values.embedding_length,
    intermediateSize: values.feed_forward_length,
    layers: values.block_count,
    attentionHeads: heads,
    keyValueHeads: values['attention.head_count_kv'] ?? heads,
    headSize,
    vocabularySize: embedding.shape[0],
    maximumPositions: values.context_length,
    rmsNormEpsilon: values['attention.layer_norm_rms_epsilon'],
    ropeTheta,
    ropeScaling: frequencyFactors && recogniseScaling(gguf, frequencyFactors, { ropeTheta, headSize }),
    tiedEmbedding: !gguf.tensors.has('output.weight'),
    attentionBias: architecture.attentionBias,
    ...(architecture.headNorms && { headNorms: true }),
    ...(slidingWindow > 0 && { slidingWindow }),
  };
}

function unsupported(gguf: Gguf, what: string): TributaryError {
  return new TributaryError(
    'model.unsupported-architecture',
    `${gguf.path} needs ${what}, which is not supported.`,
  );
}

/**
 * GGUF keeps what Llama 3's scaling divides each frequency by, not its parameters. All published models use low 1,
 * high 4 and length 8192, and the factor is the largest entry; anything else is refused rather than guessed.
 */
function recogniseScaling(
  gguf: Gguf,
  factors: Float32Array,
  rope: { ropeTheta: number; headSize: number },
): RopeScaling | null {
  const factor = factors.reduce((largest, value) => Math.max(largest, value), 1);
  if (factor === 1) return null;
  const scaling: RopeScaling = {
    type: 'llama3',
    factor,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalMaximumPositions: 8192,
  };
  for (let index = 0; index < rope.headSize / 2; index++) {
    const wavelength = 2 * Math.PI * rope.ropeTheta ** ((2 * index) / rope.headSize);
    const blend = Math.min(1, Math.max(0, (8192 / wavelength - 1) / 3));
    const expected = 1 / ((1 - blend) / factor + blend);
    if (!(Math.abs(factors[index] - expected) <= 1e-3 * expected)) {
      throw unsupported(gguf, 'a table of rope frequency factors other than Llama 3’s');
    }
  }
  return scaling;
}
