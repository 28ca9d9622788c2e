/** @file Plans: defaults, refusals by field, and the hash that sites approve. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { canonicalJson } from '../../core/federation/canonical.ts';
import {
  encodePlan,
  inspectPlan,
  openPlan,
  pinPlan,
  planHash,
  planJsonSchema,
  readPlan,
} from '../../core/federation/plan.ts';

const model = { id: 'tiny', sha256: 'ab'.repeat(32) };
const written = {
  name: 'clinics',
  model: 'smollm2-135m-instruct',
  objective: 'sft',
  seed: 7,
  adapter: { rank: 8, alpha: 16, targets: 'all-linear' },
  training: {
    steps: 10,
    batchSize: 4,
    maxLength: 256,
    learningRate: 5e-4,
    minLearningRate: 1e-6,
    template: 'chat',
  },
  federation: {
    strategy: { name: 'fedavg' },
    rounds: 10,
    minSites: 3,
    deadline: '10m',
    codec: 'f32',
    mode: 'inspected',
  },
};

function refusal(value: unknown): TributaryError {
  try {
    readPlan(JSON.stringify(value));
  } catch (error) {
    if (error instanceof TributaryError) return error;
    throw error;
  }
  throw new Error('The plan was accepted.');
}

describe('readPlan', () => {
  it('accepts the plan of the documentation and fills in the rest', () => {
    const plan = readPlan(JSON.stringify(written));
    expect(plan).toMatchObject({ ...written, federation: { ...written.federation, deadline: 600 } });
    expect(plan.training).toMatchObject({ precision: 'auto', maxGradientNorm: 1, weightDecay: 0 });
  });

  it('needs only a name and a model', () => {
    const plan = readPlan('{"name":"small","model":"tiny"}');
    expect(plan.federation).toEqual({
      strategy: { name: 'fedavg' },
      rounds: 10,
      minSites: 2,
      deadline: 600,
      codec: 'f32',
      mode: 'inspected',
    });
    expect(plan.seed).toBe(0);
  });

  it.each([
    ['90s', 90],
    ['10m', 600],
    ['1.5h', 5400],
    ['2d', 172_800],
    [45, 45],
  ])('reads the deadline %s as %d seconds', (deadline, seconds) => {
    const plan = readPlan(JSON.stringify({ name: 'x', model: 'tiny', federation: { deadline } }));
    expect(plan.federation.deadline).toBe(seconds);
  });

  it.each([
    [{ training: { steps: 'ten' } }, ['training.steps', '"ten"', 'number', 'optimiser steps']],
    [{ training: { steps: 0 } }, ['training.steps', 'found 0', 'at least 1']],
    [{ training: { step: 3 } }, ['training.step', 'no such field', 'steps, passes, batchSize']],
    [{ typo: 1 }, ['typo', 'no such field', 'name']],
    [{ name: undefined }, ['name', 'found nothing', 'string']],
    [
      { federation: { strategy: { name: 'fedsum' } } },
      ['federation.strategy.name', '"fedsum"', '"fedavg" or'],
    ],
    [
      { federation: { strategy: { name: 'fedadam', beta2: 2 } } },
      ['federation.strategy.beta2', 'found 2', 'less than 1', 'second moment'],
    ],
    [
      { federation: { strategy: { name: 'fedavg', beta1: 0.5 } } },
      ['federation.strategy.beta1', 'no such field'],
    ],
    [{ federation: { deadline: 'soon' } }, ['federation.deadline', '"soon"', '10m']],
    [{ federation: { deadline: 0.1 } }, ['federation.deadline', '0.1', '1s to 30d']],
    [{ adapter: { targets: ['q_proj', 'lm_head'] } }, ['adapter.targets', 'lm_head', 'q_proj']],
    [{ adapter: { targets: ['q_proj', 'q_proj'] } }, ['adapter.targets', 'twice']],
    [
      { training: { minLearningRate: 0.1 } },
      ['training.minLearningRate', '0.1', 'training.learningRate 0.0005'],
    ],
    [{ seed: -1 }, ['seed', 'found -1', 'at least 0']],
    [{ objective: 'ppo' }, ['objective', '"ppo"', '"sft" or "dpo"']],
    [{ training: { dpo: {} } }, ['training.dpo', '"dpo"', '"sft"']],
    [{ objective: 'dpo', training: { dpo: { beta: 0 } } }, ['training.dpo.beta', 'found 0', 'more than 0']],
    [
      { objective: 'dpo', training: { dpo: { labelSmoothing: 0.5 } } },
      ['training.dpo.labelSmoothing', 'found 0.5', 'less than 0.5'],
    ],
    [
      { objective: 'dpo', training: { dpo: { loss: 'ipo', labelSmoothing: 0.1 } } },
      ['training.dpo.labelSmoothing', '0.1', 'ipo'],
    ],
    [{ adapter: { start: { run: '../x' } } }, ['adapter.start.run', '"../x"', 'not a run identifier']],
    [{ adapter: { start: { file: 'x' } } }, ['adapter.start.file', 'no such field', 'run', 'folder']],
  ])('refuses %j by naming the field, what was found and what is allowed', (change, parts) => {
    const error = refusal({ name: 'x', model: 'tiny', ...change });
    expect(error.code).toBe('plan.invalid');
    expect(error.exitStatus).toBe(2);
    for (const part of parts) expect(error.message).toContain(part);
  });

  it.each([[{ federation: { mode: 'private' } }, ['federation.mode', 'private', 'inspected']]])(
    'refuses %j as not supported yet',
    (change, parts) => {
      const error = refusal({ name: 'x', model: 'tiny', ...change });
      expect(error.code).toBe('plan.unsupported');
      for (const part of parts) expect(error.message).toContain(part);
    },
  );

  it('says that a text is not JSON', () => {
    expect(() => readPlan('name: clinics')).toThrow(/not JSON/);
  });
});

describe('a plan for dpo', () => {
  const read = (training: object) =>
    readPlan(JSON.stringify({ name: 'x', model: 'tiny', objective: 'dpo', training })).training;

  it('gets the defaults of its objective', () => {
    const dpo = { beta: 0.1, labelSmoothing: 0, loss: 'sigmoid' };
    expect(read({})).toMatchObject({ minLearningRate: 1e-5, dpo });
    expect(read({ dpo: { beta: 0.5 } }).dpo).toEqual({ ...dpo, beta: 0.5 });
    expect(read({ minLearningRate: 1e-7 }).minLearningRate).toBe(1e-7);
    const sft = readPlan('{"name":"x","model":"tiny"}').training;
    expect(sft.minLearningRate).toBe(1e-6);
    expect(sft).not.toHaveProperty('dpo');
  });

  it('that starts below the lowest learning rate stays at its own', () => {
    expect(read({ learningRate: 5e-6 })).toMatchObject({ learningRate: 5e-6, minLearningRate: 5e-6 });
  });

  it('is the same plan however often it is read, and its settings are part of its hash', () => {
    const plan = (training: object) =>
      pinPlan(readPlan(JSON.stringify({ name: 'x', model: 'tiny', objective: 'dpo', training })), model);
    const plain = plan({});
    expect(openPlan(encodePlan(plain), planHash(plain))).toEqual(plain);
    expect(planHash(plan({ dpo: { beta: 0.1 }, minLearningRate: 1e-5 }))).toBe(planHash(plain));
    expect(planHash(plan({ dpo: { beta: 0.2 } }))).not.toBe(planHash(plain));
  });
});

describe('the start of a plan’s adapter', () => {
  const start = { hash: 'ef'.repeat(32), size: 1234 };
  const request = (adapter: object = {}) => readPlan(JSON.stringify({ name: 'x', model: 'tiny', adapter }));

  it('is pinned by its hash, which the plan’s hash covers', () => {
    const fresh = pinPlan(request(), model);
    const pinned = pinPlan(request(), model, start);
    expect(fresh.adapter).not.toHaveProperty('start');
    expect(pinned.adapter.start).toEqual(start);
    expect(planHash(pinned)).not.toBe(planHash(fresh));
    expect(openPlan(encodePlan(pinned), planHash(pinned))).toEqual(pinned);
    const other = pinPlan(request(), model, { ...start, hash: '01'.repeat(32) });
    expect(planHash(other)).not.toBe(planHash(pinned));
  });

  it('that is a run has to be found before the plan can be pinned', () => {
    const named = request({ start: { run: 'notes-1' } });
    expect(() => pinPlan(named, model)).toThrow(expect.objectContaining({ code: 'plan.invalid' }));
    expect(pinPlan(named, model, { ...start, run: 'notes-1' }).adapter.start).toEqual({
      ...start,
      run: 'notes-1',
    });
  });
});

describe('planHash', () => {
  const plan = pinPlan(readPlan(JSON.stringify(written)), model);

  it('survives encoding, and a reader gets the same plan back', () => {
    const text = encodePlan(plan);
    expect(openPlan(text, planHash(plan))).toEqual(plan);
  });

  it('does not depend on the order of fields or on how a duration is written', () => {
    const reordered = Object.fromEntries(Object.entries(written).reverse());
    const other = { ...reordered, federation: { ...written.federation, deadline: '600s' } };
    expect(planHash(pinPlan(readPlan(JSON.stringify(other)), model))).toBe(planHash(plan));
  });

  it('changes with any field', () => {
    expect(planHash({ ...plan, seed: 8 })).not.toBe(planHash(plan));
    expect(planHash({ ...plan, model: { ...model, sha256: 'cd'.repeat(32) } })).not.toBe(planHash(plan));
  });

  it('is checked by the reader', () => {
    const altered = encodePlan(plan).replace('"rounds":10', '"rounds":11');
    expect(() => openPlan(altered, planHash(plan))).toThrow(
      expect.objectContaining({ code: 'plan.hash-mismatch' }),
    );
  });
});

it('canonical JSON is valid JSON that does not depend on the order of keys', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const json = JSON.parse(JSON.stringify(value)) as Record<string, never>;
      const text = canonicalJson(json);
      expect(JSON.parse(text)).toEqual(json);
      expect(canonicalJson(Object.fromEntries(Object.entries(json).reverse()))).toBe(text);
    }),
  );
});

it('exports a JSON Schema with a description for every field', () => {
  const schema = planJsonSchema() as { properties: Record<string, { description?: string }> };
  expect(Object.keys(schema.properties)).toContain('federation');
  for (const property of Object.values(schema.properties)) expect(property.description).toBeTruthy();
});

describe('inspecting a plan', () => {
  const plan = { name: 'clinics', model: 'smollm2-135m-instruct' };

  it('gives the plan with its defaults where nothing is wrong', () => {
    expect(inspectPlan(plan)).toEqual({ problems: [], plan: readPlan(JSON.stringify(plan)) });
  });

  it('names each field that cannot be read', () => {
    const { problems, plan: read } = inspectPlan({
      ...plan,
      training: { steps: 0, bathSize: 4 },
      federation: { strategy: { name: 'fedprox', mu: -1 }, deadline: 'soon' },
    });
    expect(read).toBeNull();
    expect(problems.map(({ field }) => field).sort()).toEqual([
      'federation.deadline',
      'federation.strategy.mu',
      'training.bathSize',
      'training.steps',
    ]);
    expect(problems.find(({ field }) => field === 'training.steps')?.message).toMatch(/expected at least 1/);
  });

  it.each([
    ['scaffold', { federation: { strategy: { name: 'scaffold' }, late: {} } }],
    ['local', { federation: { strategy: { name: 'local' }, late: {} } }],
    ['rolora', { adapter: { variant: 'rolora' }, federation: { late: {} } }],
    ['private', { federation: { mode: 'private', late: {} } }],
  ])('says why %s cannot take late updates into the next round', (name, changes) => {
    const { problems } = inspectPlan({ ...plan, ...changes });
    const found = problems.find(({ field }) => field === 'federation.late');
    expect(found?.message).toContain(name);
  });

  it('takes late updates at half their weight where the plan does not say by how much', () => {
    expect(inspectPlan({ ...plan, federation: { late: {} } }).plan?.federation.late).toEqual({
      discount: 0.5,
    });
    expect(inspectPlan(plan).plan?.federation).not.toHaveProperty('late');
  });

  it('tells of all that does not fit together, each at the field to change', () => {
    const { problems } = inspectPlan({
      ...plan,
      adapter: { variant: 'rolora', targets: ['q_proj', 'q_proj'] },
      training: { learningRate: 1e-5, minLearningRate: 1e-3 },
      federation: {
        strategy: { name: 'fedyogi' },
        mode: 'private',
        minSites: 4,
        cohort: { sites: 2 },
        earlyStop: {},
      },
    });
    expect(problems.map(({ field }) => field)).toEqual([
      'training.minLearningRate',
      'adapter.targets',
      'federation.cohort',
      'federation.earlyStop',
      'adapter.variant',
      'federation.mode',
    ]);
  });
});
