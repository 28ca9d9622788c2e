/** @file A site that is asked for more rounds of a run under way, and what it is told while it has nothing to do. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '../../core/federation/identity.ts';
import type { Message, MessageOf } from '../../core/federation/messages.ts';
import { encodePlan, extendPlan, planHash } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import { approvalStatement } from '../../core/federation/statements.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site, SiteOptions } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeSiteFolder, makeTrainer, openScriptedHub, SOFTWARE, start } from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site | undefined;
const plan = makePlan({ federation: { rounds: 2 } });
const run = 'clinics-1';

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-amendments-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
});
afterEach(async () => {
  await site?.stop();
  site = undefined;
  await hub.listener.close();
  await removeFolder(root);
});

const ask = (command: 'approve' | 'policy', request: object): Promise<unknown> =>
  askSite({ folder, software: SOFTWARE }, command, request as never);

async function up(changes: Partial<SiteOptions> = {}): Promise<Site> {
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer, changes);
  await until(() => {
    expect(hub.control.length).toBeGreaterThan(control);
    expect(hub.bulk.length).toBeGreaterThan(bulk);
  });
  return site;
}

function amend(amended: Plan, amends = planHash(plan)): MessageOf<'amendment'> {
  const message = { run, plan: encodePlan(amended), planHash: planHash(amended), amends };
  hub.send({ type: 'amendment', ...message });
  return { type: 'amendment', ...message };
}

async function approvalOf({ planHash: hash }: { planHash: string }): Promise<void> {
  const isIt = (each: Message): boolean => each.type === 'approval' && each.planHash === hash;
  await until(() => expect(hub.heard.some(isIt)).toBe(true));
}

describe('a plan with more rounds', () => {
  it('is approved at once under a standing approval, signed by its own hash, and trained from its first round on', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    await up();
    hub.propose(plan);
    await hub.message('approval');
    const longer = extendPlan(plan, 4);
    const { planHash: amended } = amend(longer);
    const approval = await hub.message('approval', 2);
    expect(approval.planHash).toBe(amended);
    const statement = approvalStatement({ run, planHash: amended });
    expect(verify(hub.members[0].ed25519, statement, approval.signature)).toBe(true);
    await hub.roundStart(plan, 1); // still as the first plan says
    await hub.message('update');
    await hub.roundStart(longer, 2);
    expect((await hub.message('update', 2)).round).toBe(2);
    expect(hub.heard.filter(({ type }) => type === 'decline')).toEqual([]);
    expect(site?.status().runs[0].planHash).toBe(amended);
  });

  it('waits for a person where the run was approved by hand; until then its rounds are not trained', async () => {
    const running = await up();
    hub.propose(plan);
    await until(() => expect(running.status().state).toBe('awaiting-approval'));
    await ask('approve', { run, dataset: 'notes' });
    await hub.message('approval');
    const longer = extendPlan(plan, 4);
    const { planHash: amended } = amend(longer);
    await until(() => expect(running.status().reason).toContain('is to be extended to 4 rounds'));
    expect(running.status().state).toBe('awaiting-approval');
    await hub.roundStart(longer, 2);
    expect(await hub.message('decline')).toMatchObject({ code: 'policy.deviation' });
    await expect(ask('approve', { run, dataset: 'others' })).rejects.toMatchObject({ code: 'usage.invalid' });
    expect(await ask('approve', { run, dataset: 'notes' })).toEqual({ planHash: amended });
    await approvalOf({ planHash: amended });
    await hub.roundStart(longer, 2);
    expect((await hub.message('update')).round).toBe(2);
  });

  it('that the policy forbids, or that says anything else, is declined while the run goes on', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    await ask('policy', { set: { version: 1, maxRounds: 3 } });
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const longer = amend(extendPlan(plan, 4));
    expect(await hub.message('decline')).toMatchObject({ code: 'policy.rounds', planHash: longer.planHash });
    const other = makePlan({ federation: { rounds: 3 }, training: { steps: 99 } });
    amend(other);
    expect(await hub.message('decline', 2)).toMatchObject({ code: 'policy.deviation' });
    amend(extendPlan(plan, 3), 'ab'.repeat(32));
    expect(await hub.message('decline', 3)).toMatchObject({ code: 'policy.deviation' });
    expect(running.status().runs[0].state).toBe('approved');
    await hub.roundStart(plan, 0);
    await hub.message('update');
  });

  it('is kept over restarts, before and after its approval', async () => {
    const first = await up();
    hub.propose(plan);
    await until(() => expect(first.status().state).toBe('awaiting-approval'));
    await ask('approve', { run, dataset: 'notes' });
    const amended = amend(extendPlan(plan, 4));
    await until(() => expect(first.status().reason).toContain('is to be extended to 4 rounds'));
    await first.stop();
    const second = await up();
    expect(second.status().reason).toContain('is to be extended to 4 rounds');
    await ask('approve', { run, dataset: 'notes' });
    await second.stop();
    const answers = hub.heard.length;
    await up();
    amend(extendPlan(plan, 4)); // the hub has lost the answer
    await until(() => {
      const since = hub.heard.slice(answers);
      expect(since.some((each) => each.type === 'approval' && each.planHash === amended.planHash)).toBe(true);
    });
  });
});

describe('a notice of the hub', () => {
  it('is shown until the run goes on', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const notice = { type: 'run-notice', run, round: 0, reason: 'The coordinator has paused it.' } as const;
    hub.send({ ...notice, kind: 'paused' });
    await until(() => expect(running.status().reason).toBe(notice.reason));
    hub.send({ ...notice, kind: 'resumed' });
    await until(() => expect(running.status().reason).toContain('the hub and other sites are awaited'));
  });

  it('that it is excluded lets its people approve the run again', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const reason = 'The hub has excluded this site from clinics-1: its updates were refused.';
    hub.send({ type: 'run-notice', run, round: 0, kind: 'excluded', reason });
    await until(() => expect(running.status().runs[0]).toMatchObject({ state: 'declined', reason }));
    await ask('approve', { run, dataset: 'notes' });
    await hub.message('approval', 2);
  });
});
