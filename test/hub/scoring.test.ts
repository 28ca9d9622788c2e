/** @file Sites score each aggregate on rows they hold out; the best round is kept, and the run may end with it. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CrashPoint } from '../../core/hub/store.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { cleanUp, createFederation, joinSite, openFederation, smallPlan } from '../helpers/federation.ts';
import type { Script, TestFederation } from '../helpers/federation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';

afterEach(cleanUp);

function scored(federation: Record<string, unknown> = {}, patience?: number): PlanRequest {
  const plan = smallPlan(federation);
  const earlyStop =
    patience === undefined ? undefined : { metric: 'heldOutLoss' as const, patience, minDelta: 0 };
  return {
    ...plan,
    evaluation: { minimum: 8, every: 1 },
    federation: { ...plan.federation, ...(earlyStop && { earlyStop }) },
  };
}

/** Best after the second round. */
const script: Script = { score: (round) => [2, 1.5, 1.6, 1.7, 1.8, 1.9][round] };

async function populate(federation: TestFederation): Promise<void> {
  await joinSite(federation, 'north', script);
  await joinSite(federation, 'south', script);
}

describe('a scored run', () => {
  it('keeps the history, the best round and its adapter', async () => {
    const federation = await createFederation();
    await populate(federation);
    const { run } = await federation.propose(scored({ rounds: 6 }));
    await federation.event('ended', ({ state }) => state === 'completed');
    const { history, best } = await federation.status();
    expect(history.map(({ score }) => score)).toEqual(
      [2, 1.5, 1.6, 1.7, 1.8, 1.9].map((heldOutLoss) => ({ metrics: { heldOutLoss }, examples: 40 })),
    );
    expect(best).toBe(1);
    const exported = (round: 'best' | 'last' | number | undefined, out: string) =>
      federation.hub.ask('export', { run, out: join(federation.folder, out), round });
    expect((await exported('best', 'best')).round).toBe(2);
    expect((await exported('last', 'last')).round).toBe(6);
    expect((await exported(2, 'two')).round).toBe(2);
    const bytes = (out: string) => readFileSync(join(federation.folder, out, 'adapter_model.safetensors'));
    expect(bytes('two')).toEqual(bytes('best'));
    expect(bytes('last')).not.toEqual(bytes('best'));
    await expect(exported(1, 'one')).rejects.toMatchObject({ code: 'run.round-gone' });
    await expect(exported(7, 'seven')).rejects.toMatchObject({ code: 'run.no-adapter' });
    const out = join(federation.folder, 'ledger.jsonl');
    await federation.hub.ask('ledger', { out });
    expect(readFileSync(out, 'utf8').match(/"kind":"evaluation"/g)).toHaveLength(6);
    expect(await verifyLedger(out)).toMatchObject({ verified: true });
  });

  it('stops early with the best round', async () => {
    const federation = await createFederation();
    await populate(federation);
    await federation.propose(scored({ rounds: 6 }, 2));
    const { state, reason } = await federation.event('ended');
    expect([state, reason]).toEqual([
      'completed',
      'stopped early after round 4; the adapter is that of round 2, whose heldOutLoss 1.5 was the best',
    ]);
    expect((await federation.status()).history).toHaveLength(4);
  });

  it('does not count a score of too few rows, and goes on when a site has left', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', script);
    await joinSite(federation, 'south', {
      on: (message, site) => {
        if (message.type !== 'evaluate') return true;
        const { run, round } = message;
        const metrics = { heldOutLoss: 99 };
        site.control().send({ type: 'score', run, round, examples: 7, metrics, reason: '' });
        return false;
      },
    });
    await federation.propose(scored({ rounds: 1 }));
    const { metrics, examples, sites } = await federation.event('scored');
    expect([metrics, examples, sites]).toEqual([{ heldOutLoss: 2 }, 20, ['north']]);
    await federation.event('ended', ({ state }) => state === 'completed');
  });

  it('waits for scores until the deadline, and says for whose', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', script);
    await joinSite(federation, 'south', { on: ({ type }) => type !== 'evaluate' });
    await federation.propose(scored({ rounds: 1, deadline: '3s' }));
    await federation.event('round');
    const { phase, reason, sites } = await federation.status();
    expect([phase, sites.find(({ name }) => name === 'south')?.state]).toEqual(['scoring', 'scoring']);
    expect(reason).toContain('south');
    expect((await federation.event('scored')).sites).toEqual(['north']);
  });
});

it.each(['score:before', 'score:after', 'end-scoring:before', 'end-scoring:after'] as const)(
  'a hub that dies at %s stops at the same round with the same adapter',
  async (point) => {
    let isArmed = true;
    const crashPoint: CrashPoint = (passed) => {
      if (passed !== point || !isArmed) return;
      isArmed = false;
      throw new Error(`crash at ${point}`);
    };
    const plan = scored({ rounds: 6 }, 2);
    const outcomes: unknown[] = [];
    for (const options of [{}, { crashPoint }]) {
      const federation = await createFederation(options);
      await populate(federation);
      await federation.propose(plan).catch(() => undefined);
      let current = federation;
      if ('crashPoint' in options) {
        await federation.hub.stopped;
        current = await openFederation(federation.folder);
      }
      if ((await current.status()).state !== 'completed') await current.event('ended');
      const { reason, history, best } = await current.status();
      const out = join(current.folder, 'adapter');
      await current.hub.ask('export', { run: 'small-run-1', out });
      const adapter = readFileSync(join(out, 'adapter_model.safetensors')).toString('base64');
      outcomes.push({ reason, best, adapter, scores: history.map(({ score }) => score) });
      await cleanUp();
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  },
);
