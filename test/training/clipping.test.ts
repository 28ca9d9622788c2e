import { describe, expect, it } from 'vitest';
import { clippingFactor, globalNorm } from '../../core/training/clipping.ts';

describe('clipping', () => {
  it('measures all tensors together', () => {
    expect(globalNorm([Float32Array.of(3, 0), Float32Array.of(0, 4, 12)])).toBe(13);
  });

  it('scales to the maximum and leaves smaller gradients alone, as PyTorch does', () => {
    expect(clippingFactor(13, 1)).toBe(1 / (13 + 1e-6));
    expect(clippingFactor(0.5, 1)).toBe(1);
    expect(clippingFactor(0, 1)).toBe(1);
  });

  it('shows what is not a number', () => {
    expect(globalNorm([Float32Array.of(1, NaN)])).toBeNaN();
    expect(globalNorm([Float32Array.of(1, Infinity)])).toBe(Infinity);
  });
});
