/**
 * @file FedProx (Li et al., 2020, arXiv 1812.06127). The hub averages as FedAvg does; the site adds
 * (μ/2)·‖p − w‖² to its loss.
 */

import { z } from 'zod';
import { averageByExamples, defineStrategy } from './strategy.ts';

export const fedprox = defineStrategy({
  schema: z.strictObject({
    name: z.literal('fedprox'),
    mu: z.number().min(0).max(1000).default(0.01).describe('weight μ of the proximal term'),
  }),
  client: 'proximal',
  create: () => averageByExamples,
});
