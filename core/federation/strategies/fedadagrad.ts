/**
 * @file FedAdagrad (Reddi et al., 2021, arXiv 2003.00295) without momentum: m ← Δ, v ← v + m², so that its second
 * moment follows Δ² as in the paper. Every site counts the same.
 */

import { z } from 'zod';
import { etaShape, tauShape } from './parameters.ts';
import { adaptiveStep, defineStrategy, setMomentum } from './strategy.ts';

export const fedadagrad = defineStrategy({
  schema: z.strictObject({ name: z.literal('fedadagrad'), eta: etaShape, tau: tauShape }),
  client: 'plain',
  create: ({ eta, tau }) => ({
    parts: { weights: { weighting: 'uniform', of: 'differences' } },
    moments: { m: 0, v: tau ** 2 },
    update({ weights, moments: { m, v }, parts }) {
      setMomentum(m, parts.weights);
      for (let i = 0; i < v.length; i++) v[i] += m[i] ** 2;
      adaptiveStep(weights, { m, v }, { eta, tau });
    },
  }),
});
