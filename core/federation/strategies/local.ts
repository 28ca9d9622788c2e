/**
 * @file Local training (OpenFedLLM's `local`), what a federation is compared with: every site goes on training an
 * adapter of its own from round to round, with fresh optimizer moments each. Nothing of it travels but its numbers,
 * so the hub sums nothing and its adapter stays the one that round 0 began with.
 */

import { z } from 'zod';
import { defineStrategy } from './strategy.ts';

export const local = defineStrategy({
  schema: z.strictObject({ name: z.literal('local') }),
  client: 'alone',
  create: () => ({ parts: {}, moments: {}, update: () => undefined }),
});
