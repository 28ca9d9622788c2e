/** @file Which precision `auto` stands for on this machine. */

import { freemem } from 'node:os';

import type { Precision } from '../engine/base-weights.ts';
import type { OpenModel } from '../model/open.ts';

export type RequestedPrecision = Precision | 'auto';

/** Float32 weights and what a step needs beside them take about so many bytes a parameter. */
const BYTES_PER_PARAMETER = 12;

/**
 * Float32 is the faster one where it fits into free memory, four-bit weights the smaller one where the file has
 * them.
 */
export function choosePrecision(requested: RequestedPrecision, model: OpenModel): Precision {
  if (requested !== 'auto') return requested;
  if (model.identity.parameters * BYTES_PER_PARAMETER < freemem()) return 'f32';
  const hasFourBits = model.weights.names.some((name) =>
    model.weights.describe(name).format.startsWith('Q4'),
  );
  return hasFourBits ? 'int4' : 'f32';
}
