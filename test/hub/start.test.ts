/** @file Runs that go on from an adapter: of an earlier run, or of a PEFT folder of the coordinator. */

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readTensors } from '../../core/federation/codec.ts';
import { openPlan, readPlan } from '../../core/federation/plan.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { askHub } from '../../core/hub/ask.ts';
import { writeAdapter } from '../../core/model/adapter.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import {
  cleanUp,
  createFederation,
  joinSite,
  openFederation,
  smallIdentity,
  smallModel,
  smallPlan,
  temporaryFolder,
  trained,
} from '../helpers/federation.ts';
import type { TestFederation } from '../helpers/federation.ts';

afterEach(cleanUp);

/** A plan for dpo that goes on from a run, if one is named. */
function preferencePlan(run?: string, changes: object = {}): PlanRequest {
  const { federation } = smallPlan();
  return readPlan(
    JSON.stringify({
      name: 'Pairs',
      model: 'small',
      objective: 'dpo',
      adapter: { rank: 2, alpha: 4, ...(run !== undefined && { start: { run } }) },
      federation: { ...federation, strategy: { name: 'fedavg' } },
      ...changes,
    }),
  );
}

/** An adapter folder for the small model. */
async function adapterFolder(shape = { rank: 2, alpha: 4, targets: 'all-linear' as const }) {
  const folder = join(temporaryFolder(), 'adapter');
  const tensors = trained(initialAdapter(smallModel, shape, 11), 'elsewhere', 0);
  await writeAdapter(
    folder,
    { configuration: shape, tensors },
    { identity: smallIdentity, configuration: smallModel },
  );
  return { folder, tensors };
}

const proposal = (plan: PlanRequest, start?: string) => ({
  plan,
  model: smallIdentity,
  configuration: smallModel,
  start,
});

async function federationOfTwo(): Promise<TestFederation> {
  const federation = await createFederation();
  await joinSite(federation, 'north');
  await joinSite(federation, 'south');
  return federation;
}

describe('a run that names an earlier one', () => {
  it('starts from its adapter, which the sites’ plan pins, to the last round', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    const { run: earlier } = await federation.propose();
    const { adapter } = await north.heardOf('run-ended');
    const { run, planHash } = await federation.propose(preferencePlan(earlier));
    const proposed = await north.heardOf('proposal', (message) => message.run === run);
    expect(openPlan(proposed.plan, planHash).adapter.start).toEqual({ ...adapter, run: earlier });
    const first = await north.heardOf('round-start', (message) => message.run === run);
    expect(first).toMatchObject({ round: 0, base: adapter });

    const last = await north.heardOf('round-start', (message) => message.run === run && message.round === 2);
    expect(last.base).not.toEqual(adapter);
    await federation.event('ended', (event) => event.run === run);
  });

  it('publishes what it started from in every round, and after a restart of the hub', async () => {
    const federation = await createFederation();
    const { folder, tensors } = await adapterFolder();
    let late: Promise<NamedTensors> | undefined;
    await joinSite(federation, 'north', {
      on: async (message, site) => {
        if (message.type !== 'round-start' || message.round < 2) return undefined;
        const { plan, planHash } = await site.heardOf('proposal');
        const { start } = openPlan(plan, planHash).adapter;
        if (start === undefined) throw new Error('the plan has no start');
        await site.blobs.remove(start.hash);
        late = site
          .bulk()
          .fetch(start)
          .then(() => readTensors(site.blobs.path(start.hash)));
        return undefined;
      },
    });
    await federation.hub.stop();
    await askHub(federation.folder, 'propose', proposal(preferencePlan(), folder));
    const again = await openFederation(federation.folder);
    await joinSite(again, 'south');
    await again.event('ended');
    expect(await late).toEqual(tensors);
  });

  it.each([
    ['that is not known', 'nothing-9', 'run.unknown'],
    ['that has no adapter yet', 'small-run-1', 'run.no-adapter'],
  ])('%s is refused', async (_what, run, code) => {
    const federation = await createFederation();
    await federation.propose();
    await expect(federation.propose(preferencePlan(run))).rejects.toMatchObject({ code });
  });

  it('of another model or shape is refused by a sentence with both', async () => {
    const federation = await federationOfTwo();
    const { run } = await federation.propose();
    await federation.event('ended');
    const other = { ...proposal(preferencePlan(run)), model: { id: 'other', sha256: '6'.repeat(64) } };
    await expect(federation.hub.ask('propose', other)).rejects.toThrow(
      /trained small; this plan trains other/,
    );
    const wide = preferencePlan(run, { adapter: { rank: 4, alpha: 4, start: { run } } });
    await expect(federation.propose(wide)).rejects.toMatchObject({
      code: 'plan.invalid',
      message: expect.stringMatching(/rank 4, alpha 4.* rank 2, alpha 4/) as string,
    });
  });
});

describe('a run that is given a PEFT folder', () => {
  it('starts from it', async () => {
    const federation = await createFederation();
    const { folder, tensors } = await adapterFolder();
    const bases: NamedTensors[] = [];
    const train = (base: NamedTensors) => {
      bases.push(base);
      return base;
    };
    await joinSite(federation, 'north', { train });
    await joinSite(federation, 'south', { train });
    await federation.hub.ask('propose', proposal(preferencePlan(), folder));
    await federation.event('ended');
    expect(bases[0]).toEqual(tensors);
  });

  it('starts from one that the plan names, and refuses a plan that names two starts or none', async () => {
    const federation = await federationOfTwo();
    const { folder, tensors } = await adapterFolder();
    const from = (start: object) => ({ ...preferencePlan(), adapter: { rank: 2, alpha: 4, start } });
    const plan = readPlan(JSON.stringify(from({ folder })));
    const { run } = await federation.hub.ask('propose', proposal(plan));
    const [{ adapter }] = federation.hub.context.runs
      .runs()
      .map((each) => openPlan(each.plan, each.planHash));
    expect(adapter.start).not.toHaveProperty('folder');
    const { blobs } = federation.hub.context;
    expect(readTensors(blobs.path(adapter.start?.hash ?? ''))).toEqual(tensors);
    await federation.event('ended', (event) => event.run === run);
    expect(() => readPlan(JSON.stringify(from({ run, folder })))).toThrow(/a run and a folder/);
    expect(() => readPlan(JSON.stringify(from({})))).toThrow(/neither a run nor a folder/);
    await expect(federation.hub.ask('propose', proposal(plan, folder))).rejects.toThrow(
      /a run has one start/,
    );
  });

  it('refuses one of another shape, and a second start', async () => {
    const federation = await createFederation();
    const { folder } = await adapterFolder({ rank: 4, alpha: 4, targets: 'all-linear' });
    await expect(federation.hub.ask('propose', proposal(preferencePlan(), folder))).rejects.toThrow(
      /rank 2, alpha 4.* has rank 4, alpha 4/,
    );
    await expect(
      federation.hub.ask('propose', proposal(preferencePlan('clinics-1'), folder)),
    ).rejects.toThrow(/a run has one start/);
    await expect(
      federation.hub.ask('propose', proposal(preferencePlan(), temporaryFolder())),
    ).rejects.toMatchObject({ code: 'adapter.not-found' });
  });
});
