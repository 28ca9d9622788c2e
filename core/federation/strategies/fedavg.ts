/** @file FedAvg (McMahan et al., 2017, arXiv 1602.05629): the mean of the sites' weights by examples. */

import { z } from 'zod';
import { averageByExamples, defineStrategy } from './strategy.ts';

export const fedavg = defineStrategy({
  schema: z.strictObject({ name: z.literal('fedavg') }),
  client: 'plain',
  create: () => averageByExamples,
});
