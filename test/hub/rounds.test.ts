/** @file A hub and scripted sites over real sockets: the whole way from a proposal to the last aggregate. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { learningRateOfRound } from '../../core/federation/schedule.ts';
import { readAdapter } from '../../core/model/adapter.ts';
import {
  cleanUp,
  createFederation,
  joinSite,
  openFederation,
  smallIdentity,
  smallModel,
  smallPlan,
} from '../helpers/federation.ts';

afterEach(cleanUp);

describe('a run of three rounds with two sites', () => {
  it('completes, tells everyone, and leaves a verified ledger and an adapter', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', { examples: 30 });
    const south = await joinSite(federation, 'south', { examples: 10 });
    const { run } = await federation.propose();
    await federation.event('ended');

    const rounds = federation.events.filter((event) => event.type === 'round');
    expect(rounds.map(({ round, cohort }) => [round, cohort])).toEqual([
      [0, ['north', 'south']],
      [1, ['north', 'south']],
      [2, ['north', 'south']],
    ]);
    expect(rounds.map(({ loss }) => loss)).toEqual([2, 1.9, 1.8]);
    for (const { bytesUp, bytesDown } of rounds) {
      expect(bytesUp).toBeGreaterThan(2 * 1000);
      expect(bytesDown).toBeGreaterThan(1000);
    }

    const ended = await north.heardOf('run-ended');
    expect(ended).toMatchObject({ run, state: 'completed' });
    const starts = south.heard.filter((message) => message.type === 'round-start');
    const { training } = smallPlan();
    expect(starts.map(({ learningRate }) => learningRate)).toEqual(
      [0, 1, 2].map((round) => learningRateOfRound(training, round, 3)),
    );

    const status = await federation.status();
    expect(status).toMatchObject({ id: 'small-run-1', state: 'completed', phase: 'ended', rounds: 3 });
    expect(status.history).toHaveLength(3);
    expect(status.sites.map(({ state }) => state)).toEqual(['done', 'done']);

    const out = join(federation.folder, 'exported');
    await federation.hub.ask('export', { run, out });
    const adapter = readAdapter(out, { identity: smallIdentity, configuration: smallModel });
    expect(adapter.tensors.size).toBe(14);
    const blob = join(federation.folder, 'blobs', ended.adapter?.hash ?? '');
    expect(readFileSync(join(out, 'adapter_model.safetensors'))).toEqual(readFileSync(blob));
  });

  it('keeps only what is needed on disk', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    await federation.propose();
    await federation.event('ended');
    await federation.hub.stop();
    expect(readdirSync(join(federation.folder, 'blobs'))).toHaveLength(1);
  });

  it('has a ledger that verifies, with every countersignature in it', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    await federation.propose();
    await federation.event('ended');
    await federation.hub.stop();
    const again = await openFederation(federation.folder);
    const out = join(federation.folder, 'ledger.jsonl');
    // Both sites come back and countersign what they may have missed.
    let kinds: string[] = [];
    while (kinds.filter((kind) => kind === 'countersign').length < 6) {
      await again.hub.ask('ledger', { out });
      const lines = readFileSync(out, 'utf8').trimEnd().split('\n').slice(0, -1);
      kinds = lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
    }
    expect(await verifyLedger(out)).toMatchObject({ verified: true, entries: kinds.length });
    const count = (kind: string) => kinds.filter((entry) => entry === kind).length;
    const counts = {
      init: 1,
      invite: 2,
      join: 2,
      plan: 1,
      approval: 2,
      'round-start': 3,
      update: 6,
      aggregate: 3,
    };
    for (const [kind, expected] of Object.entries(counts))
      expect([kind, count(kind)]).toEqual([kind, expected]);
    expect(count('run-end')).toBe(1);
  });

  it('gives the same adapter again, whoever joins and sends first', async () => {
    const adapters: string[][] = [];
    for (const order of [
      ['north', 'south', 'west'],
      ['west', 'north', 'south'],
    ]) {
      const federation = await createFederation();
      for (const name of order) await joinSite(federation, name);
      await federation.propose(smallPlan({ minSites: 3, strategy: { name: 'fedadam' } }));
      await federation.event('ended');
      await federation.hub.stop();
      adapters.push(readdirSync(join(federation.folder, 'blobs')));
    }
    expect(adapters[0]).toHaveLength(1);
    expect(adapters[0]).toEqual(adapters[1]);
  });

  it('goes on after a cancelled run and refuses to cancel twice', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north');
    const { run } = await federation.propose();
    await federation.event('approved');
    await federation.hub.ask('cancel', { run });
    expect(await north.heardOf('run-ended')).toMatchObject({ state: 'cancelled' });
    await expect(federation.hub.ask('cancel', { run })).rejects.toMatchObject({ code: 'run.not-open' });
    await expect(federation.hub.ask('export', { run, out: 'x' })).rejects.toMatchObject({
      code: 'run.no-adapter',
    });
    await joinSite(federation, 'south');
    const second = await federation.propose();
    expect(second.run).toBe('small-run-2');
    await federation.event('ended', (event) => event.run === second.run && event.state === 'completed');
  });
});
