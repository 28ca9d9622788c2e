/**
 * @file SCAFFOLD (Karimireddy et al., 2020, arXiv 1910.06378), option II. The hub averages as FedAvg does and
 * keeps the control variate: c ← c + (1/N)·Σ Δc_k over the cohort, N being all members.
 */

import { z } from 'zod';
import { averageByExamples, defineStrategy } from './strategy.ts';

export const scaffold = defineStrategy({
  schema: z.strictObject({ name: z.literal('scaffold') }),
  client: 'control-variates',
  create: () => ({
    parts: { ...averageByExamples.parts, control: { weighting: 'uniform', of: 'values' } },
    moments: { c: 0 },
    update(tensor) {
      averageByExamples.update(tensor);
      const { c } = tensor.moments;
      const { sum } = tensor.parts.control;
      for (let i = 0; i < c.length; i++) c[i] += sum[i] / tensor.members;
    },
  }),
});
