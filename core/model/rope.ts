/** @file Rotary position embedding: the angles (Su et al., 2021; Llama 3.1's scaling). */

import type { ModelConfiguration } from './configuration.ts';

/** Radians per position for each pair of a head's halves, [headSize / 2]. */
export function inverseFrequencies(
  configuration: Pick<ModelConfiguration, 'headSize' | 'ropeTheta' | 'ropeScaling'>,
): Float64Array {
  const { headSize, ropeTheta, ropeScaling } = configuration;
  return Float64Array.from({ length: headSize / 2 }, (_, index) => {
    const frequency = ropeTheta ** ((-2 * index) / headSize);
    if (!ropeScaling) return frequency;
    const {
      factor,
      lowFrequencyFactor: low,
      highFrequencyFactor: high,
      originalMaximumPositions,
    } = ropeScaling;
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalMaximumPositions / high) return frequency;
    if (wavelength > originalMaximumPositions / low) return frequency / factor;
    const share = (originalMaximumPositions / wavelength - low) / (high - low);
    return ((1 - share) * frequency) / factor + share * frequency;
  });
}

/** Cosines and sines of positions 0 … count − 1, each row-major [count, headSize / 2]. */
export function rotaryTables(
  configuration: Pick<ModelConfiguration, 'headSize' | 'ropeTheta' | 'ropeScaling'>,
  count: number,
): { cos: Float32Array; sin: Float32Array } {
  const frequencies = inverseFrequencies(configuration);
  const cos = new Float32Array(count * frequencies.length);
  const sin = new Float32Array(count * frequencies.length);
  for (let position = 0, at = 0; position < count; position++) {
    for (const frequency of frequencies) {
      cos[at] = Math.cos(position * frequency);
      sin[at++] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}
