/** @file Qwen2 and Qwen2.5 (Qwen Team, 2024): Llama with a bias on queries, keys and values. */

import type { Architecture } from './architecture.ts';

export const qwen2: Architecture = {
  modelType: 'qwen2',
  ggufName: 'qwen2',
  attentionBias: true,
  headNorms: false,
  interleavedInGguf: false,
  slidingWindow: 'switched',
};
