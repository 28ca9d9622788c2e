/** @file A site's database of the version before is brought to the newest with all that it holds. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../core/database.ts';
import { generateIdentity } from '../../core/federation/identity.ts';
import { MIGRATIONS } from '../../core/site/migrations/index.ts';
import { DATABASE_FILE, openSiteStore } from '../../core/site/store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-migrations-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('keeps a round under way from version 1', () => {
  const before = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS.slice(0, 1));
  const base = `${'a'.repeat(64)} 7`;
  before.exec(`INSERT INTO run (run, plan, plan_hash, state, reason) VALUES ('r-1', '{}', '', 'approved', '');
    INSERT INTO round (run, round, base, learning_rate, phase) VALUES ('r-1', 2, '${base}', 0.5, 'training')`);
  before.close();

  const store = openSiteStore(folder, generateIdentity());
  expect(store.round('r-1', 2)).toMatchObject({
    base: { hash: 'a'.repeat(64), size: 7 },
    control: null,
    phase: 'training',
  });
  expect(store.needsBlob('a'.repeat(64))).toBe(true);
  expect(store.carriedInto('r-1', 3)).toEqual({});
  store.close();
});

it('carries into a round what the last one that counted has left, and needs it until three later ones have closed', () => {
  const store = openSiteStore(folder, generateIdentity());
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
  store.close();
});
