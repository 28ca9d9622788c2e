/** @file Choice of the next token from its scores. */

import type { Random } from '../random.ts';

/**
 * How a token is drawn. The order is that of Hugging Face's `generate`: repetition penalty, temperature, top-k, top-p,
 * min-p, each within what the one before has left. (llama.cpp applies the temperature last.)
 */
export interface SamplingOptions {
  /** Scores are divided by it; 0 takes the likeliest token always. */
  readonly temperature: number;
  /** Only the likeliest so many tokens; 0 for all. */
  readonly topK: number;
  /** Only the fewest tokens that together reach this probability (Holtzman et al., 2020); 1 for all. */
  readonly topP: number;
  /** Only tokens at least this share as likely as the likeliest (Nguyen et al., 2024); default 0, all. */
  readonly minP?: number;
  /** Makes tokens of the text so far less likely where it is above 1 (Keskar et al., 2019); default 1. */
  readonly repetitionPenalty?: number;
}

/** Index of the largest score; the first of equal ones. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token] > logits[best]) best = token;
  return best;
}

/**
 * Chooses the tokens that follow a prompt one after the other, remembering them for the repetition penalty. The
 * scores of a call are written to.
 */
export function sampler(
  options: SamplingOptions,
  prompt: readonly number[],
  random: Random,
): (logits: Float32Array) => number {
  const seen = new Set(prompt);
  return (logits) => {
    penalize(logits, seen, options.repetitionPenalty ?? 1);
    const token = sample(logits, options, random);
    seen.add(token);
    return token;
  };
}

/** Divides positive and multiplies negative scores of the tokens by the penalty, as Hugging Face does. */
export function penalize(logits: Float32Array, tokens: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const token of tokens) {
    logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
  }
}

/** Draws a token from what the options leave of softmax(logits / temperature). */
export function sample(logits: Float32Array, options: SamplingOptions, random: Random): number {
  const best = likeliest(logits);
  const { temperature, topK, topP, minP = 0 } = options;
  if (temperature === 0) return best;
  // Probabilities relative to that of the likeliest token.
  const shares = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]) / temperature));
  const tokens = topK === 0 && topP === 1 ? null : nucleus(logits, shares, { topK, topP });
  const kept = (tokens ? Float64Array.from(tokens, (token) => shares[token]) : shares).map((share) =>
    share >= minP ? share : 0,
  );
  let rest = random.uniform() * kept.reduce((sum, share) => sum + share, 0);
  for (let index = 0; index < kept.length; index++) {
    rest -= kept[index];
    if (rest < 0) return tokens ? tokens[index] : index;
  }
  return best;
}

/** The likeliest `topK` tokens (0: all), and of these the fewest that reach `topP` of their probability. */
function nucleus(
  logits: Float32Array,
  shares: Float64Array,
  { topK, topP }: { topK: number; topP: number },
): number[] {
  const order = descending(logits);
  const first = topK > 0 ? take(order, topK) : null;
  const total = first
    ? first.reduce((sum, token) => sum + shares[token], 0)
    : shares.reduce((a, b) => a + b, 0);
  const kept: number[] = [];
  let reached = 0;
  for (const token of first ?? order) {
    if (topP < 1 && reached >= topP * total) break;
    kept.push(token);
    reached += shares[token];
  }
  return kept;
}

function take(order: Iterable<number>, count: number): number[] {
  const taken: number[] = [];
  for (const token of order) if (taken.push(token) === count) break;
  return taken;
}

/** Tokens from the largest score on, equal ones in their order: a heap, since few of them are asked for. */
function* descending(logits: Float32Array): Iterable<number> {
  const heap = Int32Array.from(logits.keys());
  const precedes = (a: number, b: number) => logits[a] > logits[b] || (logits[a] === logits[b] && a < b);
  const sink = (start: number, size: number) => {
    for (let at = start; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let first = at;
      if (left < size && precedes(heap[left], heap[first])) first = left;
      if (right < size && precedes(heap[right], heap[first])) first = right;
      if (first === at) return;
      [heap[at], heap[first]] = [heap[first], heap[at]];
      at = first;
    }
  };
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(at, heap.length);
  for (let size = heap.length; size > 0; size--) {
    yield heap[0];
    heap[0] = heap[size - 1];
    sink(0, size - 1);
  }
}
