/** @file Rehearsals at a site: plans that are no runs, which a hub asks to have measured here first. */

import { z } from 'zod';
import { name, nothing, problem, request } from './request.ts';
import { datasetsShape, linesShape } from './runs.ts';

export const rehearsalRequests = {
  /**
   * Those that wait for a person, oldest first, with all that is needed to decide. If one is approved, a few steps of
   * it are measured, which change no adapter, and a few figures leave.
   */
  'rehearsals.list': request(
    nothing,
    z.object({
      rehearsals: z.array(
        z.object({
          id: z.string(),
          name: z.string(),
          federation: z.string(),
          planHash: z.string(),
          /** Steps that are measured. */
          steps: z.int(),
          lines: linesShape,
          datasets: datasetsShape,
          /** What is missing before it can be approved; null where nothing is. */
          missing: problem.nullable(),
          plan: z.record(z.string(), z.json()),
        }),
      ),
    }),
  ),
  /** Of this rehearsal alone: the run that may follow is decided on by itself. */
  'rehearsals.approve': request(
    z.strictObject({ rehearsal: name, dataset: name }),
    z.object({ rehearsal: z.string() }),
  ),
  'rehearsals.decline': request(
    z.strictObject({ rehearsal: name, reason: z.string().max(500).default('') }),
    z.object({ rehearsal: z.string() }),
  ),
};
