import { describe, expect, it } from 'vitest';
import { sgd } from '../../../core/training/optimizers/sgd.ts';
import type { SgdOptions } from '../../../core/training/optimizers/sgd.ts';

// What torch.optim.SGD of PyTorch 2.15 makes of these in float64, with learning rate 0.1.
const start = [0.5, -1.25, 2];
const gradients = [
  [0.3, -0.7, 0.1],
  [-0.2, 0.4, 0.9],
  [0.05, 0.6, -1.1],
];
const cases: [SgdOptions, number[]][] = [
  [{}, [0.485, -1.28, 2.01]],
  [{ weightDecay: 0.1 }, [0.4705465, -1.24386675, 1.951697]],
  [{ momentum: 0.9 }, [0.4517, -1.1963, 1.9119]],
  [{ momentum: 0.9, weightDecay: 0.1 }, [0.4248265, -1.12902675, 1.801937]],
  [{ momentum: 0.9, nesterov: true, weightDecay: 0.1 }, [0.4043237935, -1.13850401325, 1.776769823]],
];

describe('sgd', () => {
  it.each(cases)('with %j ends where PyTorch ends', (options, expected) => {
    const parameters = [Float32Array.from(start.slice(0, 1)), Float32Array.from(start.slice(1))];
    const optimizer = sgd(options);
    const state = optimizer.init(parameters);
    for (const values of gradients) {
      const given = [Float32Array.from(values.slice(0, 1)), Float32Array.from(values.slice(1))];
      // Halves that are doubled again: the scale belongs to the gradient, not to the decay.
      const halves = given.map((tensor) => tensor.map((value) => value / 2));
      optimizer.update({ parameters, gradients: halves, gradientScale: 2, state, learningRate: 0.1 });
    }
    const found = parameters.flatMap((tensor) => [...tensor]);
    found.forEach((value, index) => expect(value).toBeCloseTo(expected[index], 6));
  });

  it('keeps no velocity without momentum', () => {
    expect(sgd().init([new Float32Array(4)]).moments.velocity).toEqual([]);
  });
});
