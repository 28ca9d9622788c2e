/** @file Llama 1 to 3.x (Touvron et al., 2023; Llama Team, 2024), and what copies it: TinyLlama, SmolLM2. */

import type { Architecture } from './architecture.ts';

export const llama: Architecture = {
  modelType: 'llama',
  ggufName: 'llama',
  attentionBias: false,
  headNorms: false,
  interleavedInGguf: true,
  slidingWindow: 'never',
};
