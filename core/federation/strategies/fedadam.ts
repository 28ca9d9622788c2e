/**
 * @file FedAdam (Reddi et al., 2021, arXiv 2003.00295) in the form of OpenFedLLM, whose second moment follows the
 * squared momentum: v ← β2·v + (1 − β2)·m². With `secondMoment: difference` it is Δ², as in the paper. No bias
 * correction.
 */

import { z } from 'zod';
import { beta1Shape, beta2Shape, etaShape, secondMomentShape, tauShape } from './parameters.ts';
import { adaptiveStep, defineStrategy, setMomentum, squares, updateMomentum } from './strategy.ts';

export const fedadam = defineStrategy({
  schema: z.strictObject({
    name: z.literal('fedadam'),
    eta: etaShape,
    tau: tauShape,
    beta1: beta1Shape,
    beta2: beta2Shape,
    secondMoment: secondMomentShape,
  }),
  client: 'plain',
  create: ({ eta, tau, beta1, beta2, secondMoment }) => ({
    parts: { weights: { weighting: 'uniform', of: 'differences' } },
    moments: { m: 0, v: tau ** 2 },
    update({ weights, moments: { m, v }, parts, first }) {
      if (first) setMomentum(m, parts.weights);
      else updateMomentum(m, parts.weights, beta1);
      const squared = squares(secondMoment, { momentum: m, part: parts.weights });
      for (let i = 0; i < v.length; i++) v[i] = beta2 * v[i] + (1 - beta2) * squared(i);
      adaptiveStep(weights, { m, v }, { eta, tau });
    },
  }),
});
