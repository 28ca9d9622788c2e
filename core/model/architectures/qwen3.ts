/** @file Qwen3, dense (Qwen Team, 2025): Llama with normalised queries and keys, and heads of a size of their own. */

import type { Architecture } from './architecture.ts';

export const qwen3: Architecture = {
  modelType: 'qwen3',
  ggufName: 'qwen3',
  attentionBias: false,
  headNorms: true,
  interleavedInGguf: false,
  slidingWindow: 'switched',
};
