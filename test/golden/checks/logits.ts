/** @file logits.json: what a real four-bit model says next, how likely texts are, and greedy continuations. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Precision } from '../../../core/engine/precisions.ts';
import { paddedBatch } from '../../../core/engine/batch.ts';
import type { Engine } from '../../../core/engine/engine.ts';
import { likeliest } from '../../../core/engine/sampling.ts';
import { openGgufWeights } from '../../../core/model/gguf-weights.ts';
import { openGguf } from '../../../core/model/gguf.ts';
import { absolute, check, prefixed } from '../check.ts';
import type { Check } from '../check.ts';
import { withEngine } from './engine.ts';

const promptShape = z.object({
  prompt: z.string(),
  ids: z.array(z.number()),
  top20: z.array(z.object({ id: z.number(), logit: z.number() })),
  logsumexp: z.number(),
  logit_of_ids_0_100_1000_10000_49151: z.array(z.number()),
  mean_of_all_logits: z.number(),
  std_of_all_logits: z.number(),
  continuation: z.object({
    ids: z.array(z.number()),
    token_logprobs: z.array(z.number()),
    total_logprob: z.number(),
  }),
  greedy_32: z.object({ ids: z.array(z.number()) }),
});
type Prompt = z.infer<typeof promptShape>;
const fileShape = z.object({ prompts: z.array(promptShape) });

/** Tolerance of a score and of what is computed from one. */
const SCORE = 5e-4;

/** @param options.greedyTokens how many tokens of each greedy continuation are compared */
export async function checkLogits(
  file: string,
  model: string,
  { precision, greedyTokens = 32 }: { precision: Precision; greedyTokens?: number },
): Promise<Check[]> {
  const { prompts } = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  return withEngine(openGgufWeights(openGguf(model)), precision, async (engine) => {
    const checks: Check[] = [];
    for (const prompt of prompts) {
      const name = `${precision} ${JSON.stringify(prompt.prompt.slice(0, 40))}`;
      const found = [...(await checkScores(engine, prompt)), await checkGreedy(engine, prompt, greedyTokens)];
      checks.push(...prefixed(name, found));
    }
    return checks;
  });
}

async function checkScores(engine: Engine, { ids, continuation, ...expected }: Prompt): Promise<Check[]> {
  const all = [...ids, ...continuation.ids];
  const places = [...continuation.ids.keys()].map((index) => ids.length - 1 + index);
  const batch = paddedBatch([{ ids: all }], 0);
  const scores = await engine.logits(batch, places, null);
  const size = scores.length / places.length;
  const row = (index: number) => scores.subarray(index * size, (index + 1) * size);
  const likelihoods = continuation.ids.map((id, index) => row(index)[id] - logSumExp(row(index)));
  const total = likelihoods.reduce((sum, value) => sum + value, 0);
  const next = row(0);
  const mean = next.reduce((sum, value) => sum + value, 0) / size;
  const deviation = Math.sqrt(next.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size);
  const top = expected.top20.map(({ logit }) => logit);
  const at = expected.top20.map(({ id }) => next[id]);
  const largest = next.slice().sort().reverse().subarray(0, 20);
  return [
    check('top 20', absolute(at, top, SCORE) ?? absolute(largest, top, SCORE)),
    check('logsumexp', absolute([logSumExp(next)], [expected.logsumexp], SCORE)),
    check(
      'five scores',
      absolute(
        [0, 100, 1000, 10000, 49151].map((id) => next[id]),
        expected.logit_of_ids_0_100_1000_10000_49151,
        SCORE,
      ),
    ),
    check(
      'mean and deviation',
      absolute([mean, deviation], [expected.mean_of_all_logits, expected.std_of_all_logits], SCORE),
    ),
    check('continuation, each token', absolute(likelihoods, continuation.token_logprobs, 2 * SCORE)),
    check('continuation, total', absolute([total], [continuation.total_logprob], 2e-3)),
  ];
}

/** Every token must be the same: the smallest lead of a chosen token is larger than the error of a score. */
async function checkGreedy(engine: Engine, { ids, greedy_32 }: Prompt, tokens: number): Promise<Check> {
  const expected = greedy_32.ids.slice(0, tokens);
  const generated: number[] = [];
  for await (const token of engine.generate({ prompt: ids, adapter: null, choose: likeliest, exact: true })) {
    generated.push(token);
    if (generated.length === expected.length) break;
  }
  return check('greedy continuation', absolute(generated, expected, 0));
}

function logSumExp(values: Float32Array): number {
  const largest = values.reduce((maximum, value) => Math.max(maximum, value), -Infinity);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
