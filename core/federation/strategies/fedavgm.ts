/**
 * @file FedAvgM in the form of OpenFedLLM: an exponential average of the updates, w ← w + m. (Hsu et al., 2019,
 * arXiv 1909.06335, use heavy-ball momentum instead.)
 */

import { z } from 'zod';
import { beta1Shape } from './parameters.ts';
import { defineStrategy, setMomentum, updateMomentum } from './strategy.ts';

export const fedavgm = defineStrategy({
  schema: z.strictObject({ name: z.literal('fedavgm'), beta1: beta1Shape }),
  client: 'plain',
  create: ({ beta1 }) => ({
    parts: { weights: { weighting: 'examples', of: 'differences' } },
    moments: { m: 0 },
    update({ weights, moments: { m }, parts, first }) {
      if (first) setMomentum(m, parts.weights);
      else updateMomentum(m, parts.weights, beta1);
      for (let i = 0; i < weights.length; i++) weights[i] += m[i];
    },
  }),
});
