/** @file Choice of the next token from its scores. */

import type { Random } from '../random.ts';

export interface SamplingOptions {
  /** 0 takes the likeliest token always. */
  readonly temperature: number;
  /** Only the likeliest so many tokens; 0 for all. */
  readonly topK: number;
  /** Only the likeliest tokens that together reach this probability (Holtzman et al., 2020); 1 for all. */
  readonly topP: number;
}

/** Index of the largest score; the first of equal ones. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token] > logits[best]) best = token;
  return best;
}

/** Draws a token from softmax(logits / temperature), cut to top-k and then to top-p. */
export function sample(logits: Float32Array, options: SamplingOptions, random: Random): number {
  if (options.temperature === 0) return likeliest(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]);
  const candidates = options.topK > 0 ? order.slice(0, options.topK) : order;
  const shares = candidates.map((token) =>
    Math.exp((logits[token] - logits[candidates[0]]) / options.temperature),
  );
  const total = shares.reduce((sum, share) => sum + share, 0);
  let kept = 0;
  let reached = 0;
  while (kept < shares.length && reached < options.topP * total) reached += shares[kept++];
  let rest = random.uniform() * reached;
  for (let index = 0; index < kept; index++) {
    rest -= shares[index];
    if (rest < 0) return candidates[index];
  }
  return candidates[Math.max(0, kept - 1)];
}
