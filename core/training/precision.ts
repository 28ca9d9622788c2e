/** @file Which precision `auto` stands for on this machine. */

import { totalmem } from 'node:os';

import type { Precision } from '../engine/precisions.ts';
import type { OpenModel } from '../model/open.ts';

export type RequestedPrecision = Precision | 'auto';

/** Float32 weights and what a step needs beside them take about so many bytes a parameter. */
const BYTES_PER_PARAMETER = 12;

/**
 * Float32 is the faster one where it fits into half of this machine's memory, four-bit weights the smaller one
 * where the file has them. Equal on one machine at any time, so that a site that restarts trains on in the same way.
 */
export function choosePrecision(requested: RequestedPrecision, model: OpenModel): Precision {
  if (requested !== 'auto') return requested;
  if (model.identity.parameters * BYTES_PER_PARAMETER < totalmem() / 2) return 'f32';
  const hasFourBits = model.weights.names.some((name) =>
    model.weights.describe(name).format.startsWith('Q4'),
  );
  return hasFourBits ? 'int4' : 'f32';
}
