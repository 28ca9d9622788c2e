import { describe, expect, it } from 'vitest';
import { Random } from '../../../core/random.ts';
import { adamW } from '../../../core/training/optimizers/adamw.ts';

/** AdamW for one number, in double precision, with PyTorch's order of operations written out. */
function scalarAdamW(
  p: number,
  gradients: number[],
  options: { lr: number; decay: number; eps: number },
): number {
  let m = 0;
  let v = 0;
  gradients.forEach((g, index) => {
    const t = index + 1;
    p -= options.lr * options.decay * p;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g ** 2;
    const mHat = m / (1 - Math.pow(0.9, t));
    const vHat = v / (1 - Math.pow(0.999, t));
    p -= (options.lr * mHat) / (Math.sqrt(vHat) + options.eps);
  });
  return p;
}

describe('adamW', () => {
  it.each([0, 0.01, 0.3])('follows the formula over twenty steps with weight decay %d', (decay) => {
    const random = new Random('adamw', decay);
    const lengths = [5, 1, 8];
    const parameters = lengths.map((n) => Float32Array.from({ length: n }, () => random.normal()));
    const start = parameters.map((tensor) => tensor.slice());
    const optimizer = adamW({ weightDecay: decay, epsilon: 1e-3 });
    const state = optimizer.init(parameters);
    const history: Float32Array[][] = [];
    for (let step = 0; step < 20; step++) {
      const gradients = lengths.map((n) => Float32Array.from({ length: n }, () => random.normal() / 10));
      history.push(gradients.map((gradient) => gradient.slice()));
      optimizer.update({ parameters, gradients, state, learningRate: 0.02 });
      expect(gradients).toEqual(history[step]);
    }
    lengths.forEach((n, tensor) => {
      for (let i = 0; i < n; i++) {
        const series = history.map((gradients) => gradients[tensor][i]);
        const expected = scalarAdamW(start[tensor][i], series, { lr: 0.02, decay, eps: 1e-3 });
        expect(Math.abs(parameters[tensor][i] - expected)).toBeLessThan(5e-6);
      }
    });
  });

  it('moves by the learning rate in the first step, whatever the size of the gradient', () => {
    const parameters = [new Float32Array(3)];
    const optimizer = adamW();
    const gradients = [Float32Array.of(1e-3, -5, 0)];
    optimizer.update({ parameters, gradients, state: optimizer.init(parameters), learningRate: 0.1 });
    expect([...parameters[0]].map((value) => Math.round(value * 1e4) / 1e4)).toEqual([-0.1, 0.1, 0]);
  });

  it('scales the gradients as it reads them', () => {
    const gradients = [Float32Array.of(0.5, -2, 1)];
    const scaled = [gradients[0].map((value) => value / 4)];
    const [byHand, byScale] = [scaled, gradients].map((given, index) => {
      const parameters = [Float32Array.of(1, 2, 3)];
      const optimizer = adamW({ epsilon: 1e-2 });
      const state = optimizer.init(parameters);
      for (let step = 0; step < 3; step++) {
        const gradientScale = index === 0 ? undefined : 0.25;
        optimizer.update({ parameters, gradients: given, gradientScale, state, learningRate: 0.1 });
      }
      return { parameters, state };
    });
    expect(byScale).toEqual(byHand);
    expect(gradients[0]).toEqual(Float32Array.of(0.5, -2, 1));
  });
});
