/** @file Hyper-parameters shared by the adaptive strategies; defaults are OpenFedLLM's. */

import { z } from 'zod';

export const etaShape = z.number().positive().max(1000).default(1e-3).describe("the hub's learning rate η");
export const tauShape = z.number().positive().max(1).default(1e-3).describe('adaptivity τ, kept from zero');
export const beta1Shape = z.number().min(0).lt(1).default(0.9).describe('decay β1 of the momentum');
export const beta2Shape = z.number().min(0).lt(1).default(0.99).describe('decay β2 of the second moment');
export const secondMomentShape = z
  .enum(['momentum', 'difference'])
  .default('momentum')
  .describe(
    'what the second moment follows: the squared momentum m², as OpenFedLLM has it, or the squared difference Δ² ' +
      'of the round, as Reddi et al. have it',
  );
