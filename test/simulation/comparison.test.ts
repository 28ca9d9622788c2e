import { expect, it } from 'vitest';
import { advantage, scoresOf } from '../../core/simulation/comparison.ts';
import type { Outcome } from '../../core/simulation/measure.ts';
import { Random } from '../../core/random.ts';

function outcomes(losses: readonly number[], tokens = 2): Outcome[] {
  return losses.map((loss) => ({
    loss: loss * tokens,
    weight: tokens,
    answerLoss: loss * tokens,
    answerTokens: tokens,
    hit: loss < 1 ? 1 : 0,
  }));
}

it('takes means over tokens, models and seeds', () => {
  const { base, local } = scoresOf({
    base: [[outcomes([1, 3])], [outcomes([2, 2])]],
    local: [
      [outcomes([1, 1]), outcomes([0.5, 0.5])],
      [outcomes([0, 0]), outcomes([2, 0])],
    ],
  });
  expect(base.loss).toBe(2);
  expect(base.perplexity).toBeCloseTo(Math.exp(2), 12);
  expect(base.accuracy).toBe(0);
  expect(local.loss).toBeCloseTo((1 + 0.5 + 0 + 1) / 4, 12);
  expect(local.accuracy).toBeCloseTo((0 + 1 + 1 + 0.5) / 4, 12);
  expect(base.intervals.loss[0]).toBeLessThanOrEqual(2);
  expect(base.intervals.loss[1]).toBeGreaterThanOrEqual(2);
});

it('weighs rows by their tokens', () => {
  const rows = [...outcomes([1], 3), ...outcomes([5], 1)];
  expect(scoresOf({ base: [[rows]] }).base.loss).toBe(2);
});

it('compares row by row, so that what both share does not widen the interval', () => {
  const random = new Random('rows');
  const hard = Array.from({ length: 200 }, () => 2 + 2 * random.uniform());
  const kinds = {
    base: [[outcomes(hard)]],
    local: [[outcomes(hard.map((loss) => loss - 1)), outcomes(hard.map((loss) => loss - 0.5))]],
    fedavg: [[outcomes(hard.map((loss) => loss - 0.9))]],
  };
  const { loss } = advantage(kinds, ['fedavg', 'local']);
  expect(loss.value).toBeCloseTo(0.15, 10);
  expect(loss.low).toBeCloseTo(0.15, 10);
  expect(loss.high).toBeCloseTo(0.15, 10);
  const scores = scoresOf(kinds);
  expect(scores.fedavg.intervals.loss[1] - scores.fedavg.intervals.loss[0]).toBeGreaterThan(0.1);
});

it('has intervals that widen with differences between seeds', () => {
  const rows = Array.from({ length: 50 }, () => 1);
  const alike = scoresOf({ base: [1, 1, 1].map(() => [outcomes(rows)]) }).base.intervals.loss;
  const apart = scoresOf({
    base: [0, 1, 2].map((shift) => [outcomes(rows.map((loss) => loss + shift))]),
  }).base.intervals.loss;
  expect(alike[1] - alike[0]).toBeCloseTo(0, 12);
  expect(apart[1] - apart[0]).toBeGreaterThan(1);
});
