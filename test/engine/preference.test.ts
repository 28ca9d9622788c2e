import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Engine } from '../../core/engine/engine.ts';
import type { PreferenceLoss } from '../../core/engine/graphs/preference.ts';
import { emptyParameters } from '../../core/engine/parameters.ts';
import { initialAdapter, loraShapes } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { packPairs } from '../../core/training/objectives/dpo.ts';
import { pairLoss } from '../../core/training/preference.ts';
import { UNSUPERVISED } from '../../core/engine/batch.ts';
import { checkDpo } from '../golden/checks/dpo.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const parameters = initialAdapter(TINY_CONFIGURATION, lora, 1);
// A fresh adapter changes nothing, and its A would have no gradient.
for (const { data } of parameters.values())
  data.forEach((value, at) => (data[at] = value + 0.02 * Math.sin(at)));

const engine = new Engine(openTiny().weights, {
  precision: 'f32',
  device: 'cpu',
  threads: 1,
  cache: temporaryFolder(),
});
afterAll(() => engine.release());

function answer(prompt: string, content: string) {
  const ids = Int32Array.from(Buffer.from(prompt + content));
  const labels = ids.map((id, at) => (at < prompt.length ? UNSUPERVISED : id));
  return { ids, labels, supervisedTokens: content.length };
}

const pairs = [
  { chosen: answer('How are you? ', 'Well, thanks.'), rejected: answer('How are you? ', 'Go away!') },
  { chosen: answer('Hot? ', 'No.'), rejected: answer('Hot? ', 'Not at all, it is freezing.') },
  { chosen: answer('Cold? ', 'Yes.'), rejected: answer('Cold? ', 'Yes, yes.') },
];
const batch = packPairs(pairs, 0);
const share = 1 / pairs.length;

/** d loss / d margin, by the formulas. */
function slope(margin: number, { beta, labelSmoothing, loss }: PreferenceLoss): number {
  if (loss === 'ipo') return (2 / beta) * (margin / beta - 1 / (2 * beta));
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  return -(1 - labelSmoothing) * sigmoid(-margin) + labelSmoothing * sigmoid(margin);
}

async function compute(objective: PreferenceLoss, reference: readonly number[]) {
  const gradients = emptyParameters(loraShapes(TINY_CONFIGURATION, lora));
  const adapter = { configuration: lora, parameters, gradients, objective };
  const result = await engine.preferenceGradients({ batch, reference, share }, adapter);
  const margins = pairs.map((_, pair) => {
    const [chosen, rejected] = result.logProbabilities.subarray(2 * pair);
    return objective.beta * (chosen - rejected - reference[pair]);
  });
  return { ...result, margins, gradients };
}

describe('the loss of pairs', () => {
  it('has the values and gradients of the reference, also in parts', async () => {
    const checks = await checkDpo(join(import.meta.dirname, '../golden/dpo/dpo.json'));
    expect(checks.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(checks).toHaveLength(2 + 2 * (10 + 28));
  });

  it.each<PreferenceLoss>([
    { beta: 0.1, labelSmoothing: 0, loss: 'sigmoid' },
    { beta: 0.5, labelSmoothing: 0.2, loss: 'sigmoid' },
    { beta: 0.2, labelSmoothing: 0, loss: 'ipo' },
  ])('weighs the gradients of all tokens as the formula says: %o', async (objective) => {
    const { loss, margins, gradients } = await compute(objective, [3, -20, 1.5]);
    const expected = margins.reduce((sum, margin) => sum + share * pairLoss(margin, objective), 0);
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-6);
    const weights = Float32Array.from(batch.targets.examples, (example) => {
      const sign = example % 2 === 0 ? -1 : 1;
      return sign * share * objective.beta * slope(margins[Math.floor(example / 2)], objective);
    });
    const byWeights = emptyParameters(loraShapes(TINY_CONFIGURATION, lora));
    await engine.lossAndGradients(batch, { configuration: lora, parameters, gradients: byWeights }, weights);
    const largest = gradients.flat.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeGreaterThan(1e-3);
    gradients.flat.forEach((value, at) => {
      expect(Math.abs(value - byWeights.flat[at])).toBeLessThan(1e-4 * largest);
    });
  });

  it('has gradients of some tensors alone, where others are frozen', async () => {
    const objective = { beta: 0.1, labelSmoothing: 0, loss: 'sigmoid' } as const;
    const reference = [3, -20, 1.5];
    const all = (await compute(objective, reference)).gradients.tensors;
    const shapes = loraShapes(TINY_CONFIGURATION, lora).filter(({ name }) => name.includes('lora_B'));
    const gradients = emptyParameters(shapes);
    const adapter = { configuration: lora, parameters, gradients, objective };
    await engine.preferenceGradients({ batch, reference, share }, adapter);
    for (const [name, { data }] of gradients.tensors) {
      const expected = all.get(name)?.data ?? [];
      expect(largestDifference(data, expected)).toBeLessThan(5e-6);
    }
    expect(gradients.flat.some((value) => Math.abs(value) > 1e-3)).toBe(true);
  });

  it('stays finite however far a pair is off', async () => {
    const objective = { beta: 1, labelSmoothing: 0.1, loss: 'sigmoid' } as const;
    const { loss, gradients } = await compute(objective, [5000, -5000, 0]);
    expect(loss).toBeGreaterThan((0.9 * 4000) / 3);
    expect(loss).toBeLessThan((5200 * 1.1) / 3);
    expect(gradients.flat.every(Number.isFinite)).toBe(true);
  });
});
