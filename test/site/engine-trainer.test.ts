import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { createEngineTrainer } from '../../core/site/engine-trainer.ts';
import { removeFolder } from '../helpers/folders.ts';
import { until } from '../helpers/until.ts';
import type { RoundRequest, RoundTrainer } from '../../core/site/trainer.ts';

// The trainer's process is the built program; `npm test` builds first.

const request = readPlan(
  JSON.stringify({
    name: 'trial',
    model: 'tiny',
    adapter: { rank: 2, alpha: 4 },
    training: { steps: 2, batchSize: 2, maxLength: 64, precision: 'f32' },
  }),
);
const { id, sha256 } = openTiny().identity;
const plan = pinPlan(request, { id, sha256 });
const base = initialAdapter(TINY_CONFIGURATION, plan.adapter, plan.seed);

function round(changes: Partial<RoundRequest> = {}): RoundRequest {
  return {
    plan,
    run: 'trial-1',
    round: 0,
    learningRate: 1e-2,
    seedParts: [0, 0, 'north'],
    base,
    reference: null,
    controls: null,
    examples: ['a', 'b', 'c'].map((content) => ({
      kind: 'conversation',
      messages: [
        { role: 'user', content },
        { role: 'assistant', content: 'yes' },
      ],
    })),
    signal: new AbortController().signal,
    onStep: () => undefined,
    ...changes,
  };
}

const trainers: RoundTrainer[] = [];
afterEach(async () => {
  for (const trainer of trainers.splice(0)) await trainer.close();
  await untilChildren(0);
});

function newTrainer(): RoundTrainer {
  const trainer = createEngineTrainer({ threads: 1 });
  trainers.push(trainer);
  return trainer;
}

const children = () =>
  process.getActiveResourcesInfo().filter((resource) => resource === 'ProcessWrap').length;
const untilChildren = (count: number) => until(() => expect(children()).toBe(count));

describe('the trainer of a real site', () => {
  it('trains a round from its base, which stays as it is, and keeps its process for the next', async () => {
    const trainer = newTrainer();
    const before = structuredClone(base);
    const first = await trainer.train(round());
    const second = await trainer.train(round());
    expect(second).toEqual(first);
    expect([...first.adapter.keys()]).toEqual([...base.keys()]);
    expect(first.adapter).not.toEqual(base);
    expect(base).toEqual(before);
    expect(first.examples).toBe(3);
    expect(children()).toBe(1);
  });

  it('goes on, bit for bit, from the step after which it was paused', async () => {
    const longer = { ...plan, training: { ...plan.training, steps: 6 } };
    const whole = await newTrainer().train(round({ plan: longer }));
    const folder = mkdtempSync(join(tmpdir(), 'tributary-pause-'));
    try {
      const pause = new AbortController();
      const steps: number[] = [];
      const onStep = ({ step }: { step: number }): void => {
        steps.push(step);
        if (step === 2) pause.abort(new Error('paused'));
      };
      const asked = { plan: longer, onStep };
      const paused = newTrainer().train(round({ ...asked, pausing: { folder, finish: pause.signal } }));
      await expect(paused).rejects.toThrow('paused');
      const reached = steps.length;
      expect(reached).toBeLessThan(6);
      const finish = new AbortController().signal;
      const resumed = await newTrainer().train(round({ ...asked, pausing: { folder, finish } }));
      expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
      expect(resumed).toEqual(whole);
    } finally {
      await removeFolder(folder);
    }
  });

  it('trains on pairs against the model alone, or against the adapter that the plan starts from', async () => {
    const trainer = newTrainer();
    const written = { ...request, objective: 'dpo' as const, model: 'tiny' };
    const pairs = readPlan(JSON.stringify(written));
    const examples = ['a', 'b', 'c'].map((content) => ({
      kind: 'preference' as const,
      prompt: [{ role: 'user' as const, content }],
      chosen: 'yes',
      rejected: 'no',
    }));
    const alone = { ...round({ plan: pinPlan(pairs, { id, sha256 }), examples }) };
    const first = await trainer.train(alone);
    // The loss is the mean of two steps, of which the first has no margin yet.
    expect(first.loss).toBeLessThan(Math.log(2));
    expect(first.preference?.accuracy).toBeGreaterThan(0.5);
    expect(first.preference?.margin).toBeGreaterThan(0);

    const started = { hash: 'ab'.repeat(32), size: 1 };
    const onward = {
      ...alone,
      plan: pinPlan(pairs, { id, sha256 }, started),
      base: first.adapter,
      round: 1,
    };
    const kept = await trainer.train({ ...onward, reference: first.adapter });
    const against = await newTrainer().train({ ...alone, base: first.adapter, round: 1 });
    // Against itself the adapter begins with no margin; against the model it is ahead from the start.
    expect(kept.preference?.margin).toBeLessThan(against.preference?.margin ?? 0);
    expect(await trainer.train({ ...onward, reference: first.adapter })).toEqual(kept);
    expect(await trainer.train(alone)).toEqual(first);
    expect(children()).toBe(2);
  });

  it('refuses another model than the plan pins, and ends the process', async () => {
    const other: Plan = { ...plan, model: { id: 'tiny', sha256: '0'.repeat(64) } };
    await expect(newTrainer().train(round({ plan: other }))).rejects.toMatchObject({
      code: 'model.hash-mismatch',
    });
    await untilChildren(0);
  });

  it('ends its process when it is closed while the model loads', async () => {
    const trainer = newTrainer();
    const training = trainer.train(round());
    const refused = expect(training).rejects.toMatchObject({ code: 'training.stopped' });
    await untilChildren(1);
    await trainer.close();
    await refused;
    await untilChildren(0);
  });
});
