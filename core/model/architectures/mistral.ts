/** @file Mistral (Jiang et al., 2023): Llama whose tokens attend to a sliding window. GGUF files call it llama. */

import type { Architecture } from './architecture.ts';

export const mistral: Architecture = {
  modelType: 'mistral',
  ggufName: null,
  attentionBias: false,
  headNorms: false,
  interleavedInGguf: true,
  slidingWindow: { byDefault: 4096 },
};
