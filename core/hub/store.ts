/** @file The hub's database: how it is opened, and the one way in which anything in it changes. */

import { join } from 'node:path';
import { openDatabase, transact } from '../database.ts';
import type { SqliteDatabase } from '../database.ts';
import { openLedger } from '../federation/ledger.ts';
import type { Ledger } from '../federation/ledger.ts';
import type { Identity } from '../federation/identity.ts';
import { MIGRATIONS } from './migrations/index.ts';

/** Every persisted transition of the hub. Crash tests stop it before and after each of them. */
export const TRANSITIONS = [
  'init',
  'invite',
  'join',
  'revoke',
  'replace',
  'rotate-member',
  'rotate-hub',
  'retire-keys',
  'propose',
  'rehearse',
  'rehearsed',
  'answer',
  'start-run',
  'offer',
  'commit-update',
  'refuse-update',
  'lose-update',
  'begin-closing',
  'call-up',
  'close-round',
  'score',
  'end-scoring',
  'open-round',
  'countersign',
  'pause',
  'resume',
  'extend',
  'end-run',
] as const;
export type Transition = (typeof TRANSITIONS)[number];

/** Told of every transition before it begins and after it is on disk; whatever it throws stops the hub there. */
export type CrashPoint = (point: `${Transition}:${'before' | 'after'}` | 'aggregate-written') => void;

export interface Store {
  readonly database: SqliteDatabase;
  readonly ledger: Ledger;
  /** Runs `work` as one transaction, on disk when this returns. */
  transition<T>(name: Transition, work: () => T): T;
  readonly crashPoint: CrashPoint;
  setting(name: string): string | null;
  /** Within or outside a transition. */
  setSetting(name: string, value: string): void;
  close(): void;
}

/** Name of the database in the hub's folder. */
export const DATABASE_FILE = 'hub.sqlite';

/** Opens the database of a hub's folder. Throws as `openDatabase` does. */
export function openStore(
  folder: string,
  identity: Identity,
  crashPoint: CrashPoint = () => undefined,
): Store {
  const database = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS);
  const ledger = openLedger(database, identity);
  const readSetting = database.prepare<[string], { value: string }>(
    'SELECT value FROM setting WHERE name = ?',
  );
  const writeSetting = database.prepare(
    'INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    database,
    ledger,
    crashPoint,
    transition(name, work) {
      crashPoint(`${name}:before`);
      const result = transact(database, work);
      crashPoint(`${name}:after`);
      return result;
    },
    setting: (name) => readSetting.get(name)?.value ?? null,
    setSetting: (name, value) => void transact(database, () => writeSetting.run(name, value)),
    close: () => database.close(),
  };
}
