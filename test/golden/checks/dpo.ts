/** @file dpo.json: log-probabilities, rewards, loss and gradients of three pairs. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { UNSUPERVISED } from '../../../core/engine/batch.ts';
import { emptyParameters } from '../../../core/engine/parameters.ts';
import { logProbabilities } from '../../../core/engine/preference.ts';
import { openHuggingFaceWeights } from '../../../core/model/huggingface-weights.ts';
import { readSafetensors } from '../../../core/model/safetensors.ts';
import { packPairs } from '../../../core/training/objectives/dpo.ts';
import { measurePair, pairLoss } from '../../../core/training/preference.ts';
import type { TokenExample } from '../../../core/training/tokens.ts';
import { absolute, check, norm, prefixed, relative, relativeToMaximum } from '../check.ts';
import type { Check } from '../check.ts';
import { goldenAdapter, withEngine } from './engine.ts';

const numbers = z.array(z.number());
const fileShape = z.object({
  beta: z.number(),
  label_smoothing: z.number(),
  loss_type: z.literal('sigmoid'),
  pairs: z.array(z.object({ prompt: numbers, chosen: numbers, rejected: numbers })),
  policy_chosen_logps: numbers,
  policy_rejected_logps: numbers,
  reference_chosen_logps: numbers,
  reference_rejected_logps: numbers,
  loss_per_pair: numbers,
  loss: z.number(),
  rewards_chosen: numbers,
  rewards_rejected: numbers,
  reward_margins: numbers,
  reward_accuracy: z.number(),
  grads_file: z.string(),
  grad_global_norm: z.number(),
});

/** The model and the adapter lie in the folder `llama-tiny` beside the file's own. */
export async function checkDpo(file: string): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const gradients = readSafetensors(join(dirname(file), expected.grads_file));
  const folder = join(dirname(file), '..', 'llama-tiny');
  const weights = openHuggingFaceWeights(folder);
  const { configuration, tensors } = goldenAdapter(folder, weights);
  const pairs = expected.pairs.map(({ prompt, chosen, rejected }) => ({
    chosen: answer(prompt, chosen),
    rejected: answer(prompt, rejected),
  }));
  return withEngine(weights, 'f32', async (engine) => {
    const alone = packPairs(pairs, 0);
    const scores = logProbabilities(alone, (await engine.loss(alone, null)).tokenLosses);
    const references = pairs.map((_, pair) => ({
      chosen: scores[2 * pair],
      rejected: scores[2 * pair + 1],
    }));
    const objective = {
      beta: expected.beta,
      labelSmoothing: expected.label_smoothing,
      loss: expected.loss_type,
    };
    const found = emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
    /** All pairs of `parts` at once, one part after the other, gradients summed. */
    const compute = async (parts: number[][]): Promise<Check[]> => {
      const sum = emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
      const policy = new Float64Array(2 * pairs.length);
      let loss = 0;
      for (const part of parts) {
        const result = await engine.preferenceGradients(
          {
            batch: packPairs(
              part.map((pair) => pairs[pair]),
              0,
            ),
            reference: part.map((pair) => references[pair].chosen - references[pair].rejected),
            share: 1 / pairs.length,
          },
          { configuration, parameters: tensors, gradients: found, objective },
        );
        loss += result.loss;
        part.forEach((pair, at) =>
          policy.set(result.logProbabilities.subarray(2 * at, 2 * at + 2), 2 * pair),
        );
        found.flat.forEach((value, at) => (sum.flat[at] += value));
      }
      const policies = pairs.map((_, pair) => ({ chosen: policy[2 * pair], rejected: policy[2 * pair + 1] }));
      const measured = policies.map((one, pair) => measurePair(one, references[pair], expected.beta));
      const each = [...gradients].map(([name, { data }]) =>
        check(`gradient ${name}`, relativeToMaximum(sum.tensors.get(name)?.data ?? [], data, 5e-5)),
      );
      const values = (key: keyof (typeof measured)[number]) => measured.map((one) => one[key]);
      const losses = values('margin').map((margin) => pairLoss(margin, objective));
      const accuracy = values('accuracy').reduce((total, one) => total + one, 0) / pairs.length;
      return [
        check(
          'chosen answers under the policy',
          absolute(
            policies.map(({ chosen }) => chosen),
            expected.policy_chosen_logps,
            2e-4,
          ),
        ),
        check(
          'rejected answers under the policy',
          absolute(
            policies.map(({ rejected }) => rejected),
            expected.policy_rejected_logps,
            2e-4,
          ),
        ),
        check('rewards of the chosen', absolute(values('chosenReward'), expected.rewards_chosen, 3e-5)),
        check('rewards of the rejected', absolute(values('rejectedReward'), expected.rewards_rejected, 3e-5)),
        check('margins', absolute(values('margin'), expected.reward_margins, 3e-5)),
        check('accuracy', absolute([accuracy], [expected.reward_accuracy], 0)),
        check('loss of each pair', absolute(losses, expected.loss_per_pair, 1e-5)),
        check('loss', absolute([loss], [expected.loss], 1e-5)),
        check('gradients, number', gradients.size === sum.tensors.size ? null : `${sum.tensors.size}`),
        ...each,
        check('global gradient norm', relative([norm(sum.flat)], [expected.grad_global_norm], 1e-5)),
      ];
    };
    return [
      check(
        'chosen answers under the reference',
        absolute(
          references.map(({ chosen }) => chosen),
          expected.reference_chosen_logps,
          2e-4,
        ),
      ),
      check(
        'rejected answers under the reference',
        absolute(
          references.map(({ rejected }) => rejected),
          expected.reference_rejected_logps,
          2e-4,
        ),
      ),
      ...prefixed('all pairs at once:', await compute([pairs.map((_, pair) => pair)])),
      ...prefixed('in two parts:', await compute([[0, 2], [1]])),
    ];
  });
}

function answer(prompt: readonly number[], ids: readonly number[]): TokenExample {
  return {
    ids: Int32Array.of(...prompt, ...ids),
    labels: Int32Array.of(...prompt.map(() => UNSUPERVISED), ...ids),
    supervisedTokens: ids.length,
  };
}
