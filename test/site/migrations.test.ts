/** @file A site's database of the version before is brought to the newest with all that it holds. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../core/database.ts';
import { generateIdentity } from '../../core/federation/identity.ts';
import { MIGRATIONS } from '../../core/site/migrations/index.ts';
import { DATABASE_FILE, openSiteStore } from '../../core/site/store.ts';
import { enterFederation } from '../helpers/site.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-migrations-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('keeps a round under way from version 1', () => {
  const before = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS.slice(0, 1));
  const base = `${'a'.repeat(64)} 7`;
  before.exec(`INSERT INTO membership VALUES (1, 'clinics', 'clinic-a', '[]', x'00', x'01', 3);
    INSERT INTO run (run, plan, plan_hash, state, reason) VALUES ('r-1', '{}', '', 'approved', '');
    INSERT INTO round (run, round, base, learning_rate, phase) VALUES ('r-1', 2, '${base}', 0.5, 'training')`);
  before.close();

  const site = openSiteStore(folder, generateIdentity());
  const store = site.federation(site.memberships()[0]);
  expect(store.round('r-1', 2)).toMatchObject({
    base: { hash: 'a'.repeat(64), size: 7 },
    control: null,
    phase: 'training',
  });
  expect(store.needsBlob('a'.repeat(64))).toBe(true);
  expect(store.carriedInto('r-1', 3)).toEqual({});
  site.close();
});

it('keeps all that the version with one federation held as that federation’s', () => {
  const before = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS.slice(0, 6));
  const blob = (letter: string) => `${letter.repeat(64)} 7`;
  before.exec(`INSERT INTO membership VALUES (1, 'clinics', 'clinic-a', '["ws://hub"]', x'02', x'01', 3);
    INSERT INTO approval VALUES ('*', 'notes'), ('r-2', 'letters');
    INSERT INTO run (run, plan, plan_hash, state, reason, dataset, examples, amendment, amendment_hash)
      VALUES ('r-2', '{}', 'h', 'approved', 'why', 'letters@1', 9, '{"more":1}', 'm'),
        ('r-1', '{}', 'h', 'declined', 'paused', 'notes@1', 8, NULL, NULL);
    INSERT INTO round (run, round, base, control, learning_rate, phase, blob, examples, loss, metrics)
      VALUES ('r-2', 0, '${blob('a')}', '${blob('b')}', 0.5, 'committed', '${blob('c')}', 9, 1.5, '{"skippedRows":1}');
    INSERT INTO carried VALUES ('r-2', 0, 'control', '${blob('d')}');
    INSERT INTO stop VALUES ('r-1', 'paused');
    UPDATE traffic SET sent = 100, received = 40, updates = 60;
    UPDATE own_keys SET generation = 2, pending = 1`);
  before.close();

  const site = openSiteStore(folder, generateIdentity());
  const [membership, ...others] = site.memberships();
  expect(others).toEqual([]);
  expect(membership).toMatchObject({
    ...{ number: 1, name: 'clinics', federation: 'clinics', site: 'clinic-a' },
    ...{ urls: ['ws://hub'], roster_version: 3 },
  });
  const store = site.federation(membership);
  expect([store.approvedDataset('r-9'), store.approvedDataset('r-2')]).toEqual(['notes', 'letters']);
  expect(store.runs().map(({ run }) => run)).toEqual(['r-1', 'r-2']);
  expect(store.run('r-2')).toMatchObject({
    ...{ state: 'approved', reason: 'why', dataset: 'letters@1', examples: 9 },
    ...{ amendment: '{"more":1}', amendment_hash: 'm', saved: 0 },
  });
  expect(store.round('r-2', 0)).toMatchObject({
    ...{ phase: 'committed', examples: 9, loss: 1.5, metrics: { skippedRows: 1 } },
    control: { hash: 'b'.repeat(64), size: 7 },
  });
  expect(store.carriedInto('r-2', 1)).toEqual({ control: { hash: 'd'.repeat(64), size: 7 } });
  expect(store.stopped('r-1')).toBe('paused');
  expect(store.keys()).toEqual({ generation: 2, pending: true });
  const sent = { updates: 60, scores: 0, answers: 0, progress: 0, connection: 40 };
  expect([store.sent(), site.sent()]).toEqual([sent, sent]);
  site.close();
});

it('gives a second federation runs, approvals and counts of its own, also under the same names', () => {
  const site = openSiteStore(folder, generateIdentity());
  const [one, other] = [enterFederation(site), enterFederation(site)];
  expect([one.name, other.name]).toEqual(['clinics', 'clinics (2)']);
  const [first, second] = [one, other].map((membership) => site.federation(membership));
  const [mine, theirs] = ['a', 'b'].map((letter) => ({ hash: letter.repeat(64), size: 1 }));
  first.transaction('take-proposal', () => {
    first.putRun('r-1', '{}', 'h');
    first.approve('*', 'notes');
    first.setApproved('r-1', 'notes@1', 3);
    first.beginRound({ run: 'r-1', round: 0, base: mine, control: null, learning_rate: 1 });
    first.setTrained('r-1', 0, { blob: mine, examples: 1, loss: 1, metrics: {} }, { own: mine });
  });
  expect([second.run('r-1'), second.approvedDataset('r-1'), second.runs()]).toEqual([null, null, []]);
  second.transaction('take-proposal', () => {
    second.putRun('r-1', '{}', 'other');
    second.beginRound({ run: 'r-1', round: 0, base: theirs, control: null, learning_rate: 1 });
  });
  expect([first.needsBlob(mine.hash), second.needsBlob(mine.hash)]).toEqual([true, false]);
  expect([first.isUpdate(mine.hash), second.isUpdate(mine.hash)]).toEqual([true, false]);
  second.countTraffic({ updates: 5, scores: 0, answers: 0, progress: 0, connection: 0 }, 0);
  expect([first.sent().updates, second.sent().updates, site.sent().updates]).toEqual([0, 5, 5]);

  first.transaction('leave', () => first.leave());
  expect(site.memberships().map(({ name }) => name)).toEqual(['clinics (2)']);
  expect([first.runs(), first.approvedDataset('*'), second.run('r-1')?.plan_hash]).toEqual([
    [],
    null,
    'other',
  ]);
  // Whoever comes back has the number and the name that it had.
  const { federation, site: name, urls, x25519, ed25519, roster_version } = one;
  const again = { federation, site: name, urls, x25519, ed25519, roster_version };
  expect(site.transaction('join', () => site.join(again))).toMatchObject({ number: 1, name: 'clinics' });
  site.close();
});

it('carries into a round what the last one that counted has left, and needs it until three later ones have closed', () => {
  const site = openSiteStore(folder, generateIdentity());
  const store = site.federation(enterFederation(site));
  const blob = (round: number) => ({ hash: String(round).repeat(64), size: round });
  const update = { blob: blob(9), examples: 1, loss: 1, metrics: {} };
  store.transaction('take-proposal', () => {
    store.putRun('r-1', '{}', '');
    store.setApproved('r-1', 'notes', 3);
  });
  const trainRound = (round: number, phase: 'committed' | 'late' | 'refused'): void => {
    store.transaction('keep-update', () => {
      store.beginRound({ run: 'r-1', round, base: blob(0), control: null, learning_rate: 1 });
      store.setTrained('r-1', round, update, { control: blob(round) });
      store.setPhase('r-1', round, phase);
      store.setAggregate('r-1', round, blob(0));
    });
  };
  trainRound(1, 'committed');
  trainRound(2, 'late');
  trainRound(3, 'refused');
  expect(store.carriedInto('r-1', 1)).toEqual({});
  expect(store.carriedInto('r-1', 2)).toEqual({ control: blob(1) });
  expect(store.carriedInto('r-1', 4)).toEqual({ control: blob(1) });
  for (const round of [4, 5, 6]) trainRound(round, 'committed');
  expect(store.carriedInto('r-1', 7)).toEqual({ control: blob(6) });
  expect([1, 4, 5, 6].map((round) => store.needsBlob(blob(round).hash))).toEqual([false, true, true, true]);
  site.close();
});
