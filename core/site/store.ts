/** @file The site's database: which federations it belongs to, its keys, its ledger, what has left it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { openDatabase, transact } from '../database.ts';
import { exportLedger, openLedger } from '../federation/ledger.ts';
import type { Ledger } from '../federation/ledger.ts';
import type { Identity } from '../federation/identity.ts';
import { noTraffic } from '../federation/traffic.ts';
import type { Traffic } from '../federation/traffic.ts';
import { countTraffic, openFederationStore } from './federation-store.ts';
import type { FederationStore } from './federation-store.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { keysRow, membershipRow, tablesOf, trafficOf, trafficShape } from './tables.ts';
import type { Membership } from './tables.ts';

/** Name of the database in a site's folder. */
export const DATABASE_FILE = 'site.sqlite';

/** Every persisted transition of a site. Crash tests stop it before and after each of them. */
export const SITE_TRANSITIONS = [
  'join',
  'leave',
  'begin-rotation',
  'rotate-keys',
  'pin-hub',
  'see-roster',
  'take-proposal',
  'approve-standing',
  'approve',
  'rehearse',
  'decline',
  'stop-run',
  'take-amendment',
  'approve-amendment',
  'adopt-amendment',
  'begin-round',
  'keep-update',
  'acknowledge',
  'refuse-update',
  'close-round',
  'countersign',
  'end-run',
  'save-adapter',
  'record-import',
  'withdraw-data',
] as const;
export type SiteTransition = (typeof SITE_TRANSITIONS)[number];

/** A moment of a site's life: around a transition, or when an update lies on disk of which the database knows nothing. */
export type SitePoint = `${SiteTransition}:${'before' | 'after'}` | 'update-written';

/** Told of every point as it is passed; it may end the process there. */
export type SiteCrashPoint = (point: SitePoint) => void;

const taughtRun = z.object({ federation: z.int(), run: z.string() });

/** Every function that writes is to be called within `transaction`, together with its ledger entry. */
export interface SiteStore {
  readonly ledger: Ledger;
  readonly crashPoint: SiteCrashPoint;
  /** Runs `work` as one transaction, on disk when this returns. */
  readonly transaction: <T>(name: SiteTransition, work: () => T) => T;
  /** The federations that this site is a member of, in the order in which it first joined them. */
  memberships(): Membership[];
  /** Numbers of the federations that it has left. */
  left(): number[];
  /** The federation of the hub with this key, also one that the site has left; null where it was never joined. */
  knownHub(ed25519: Uint8Array): Membership | null;
  /** Enters a federation, or enters it anew. */
  join(membership: Omit<Membership, 'number' | 'name' | 'member'>): Membership;
  /** What is kept of one of them. */
  federation(membership: Pick<Membership, 'number' | 'name'>): FederationStore;
  /** How often this site's keys have changed, and whether new ones wait for the hubs to enter them. */
  keys(): { readonly generation: number; readonly pending: boolean };
  beginRotation(): void;
  /** Whether new keys wait and every hub has entered them. */
  haveAllEntered(): boolean;
  /** The new keys count from here on. */
  completeRotation(): void;
  /** Ids of the datasets' versions whose import, or whose withdrawal, is in the ledger. */
  recordedData(kind: 'data-import' | 'data-withdrawal'): ReadonlySet<number>;
  /** Runs, by their federation's number, of which the ledger has an update that learned from this version of a dataset. */
  runsTaughtBy(version: { readonly id: number; readonly name: string }): z.infer<typeof taughtRun>[];
  /** Forgets which runs may use a dataset, in every federation. */
  forgetApprovals(dataset: string): void;
  /** Counts what was exchanged with a hub of which no federation is joined yet. */
  countTraffic(sent: Traffic, received: number): void;
  /** Bytes sent to hubs since this site exists. */
  sent(): Traffic;
  /** Writes the ledger as JSON Lines; returns the number of its entries. */
  readonly exportLedger: (path: string) => Promise<number>;
  close(): void;
}

/** The generation of a site's keys, before the keys can be opened; 0 where there is no site yet. */
export function keyGeneration(folder: string): number {
  const path = join(folder, DATABASE_FILE);
  if (!existsSync(path)) return 0;
  const database = openDatabase(path, MIGRATIONS);
  try {
    return keysRow.parse(database.prepare('SELECT generation, pending FROM own_keys').get()).generation;
  } finally {
    database.close();
  }
}

/** Opens the database of a site's folder. Throws as `openDatabase` does. */
export function openSiteStore(
  folder: string,
  identity: Identity,
  crashPoint: SiteCrashPoint = () => undefined,
): SiteStore {
  const database = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS);
  const ledger = beginLedger(openLedger(database, identity), identity);
  const { get, all, run } = tablesOf(database);
  const transaction: SiteStore['transaction'] = (name, work) => {
    crashPoint(`${name}:before`);
    const result = transact(database, work);
    crashPoint(`${name}:after`);
    return result;
  };
  const knownHub = (ed25519: Uint8Array): Membership | null =>
    get(membershipRow, 'SELECT * FROM membership WHERE ed25519 = ?', ed25519);

  /** What a federation is called here: as its hub calls it, unless another one is. */
  function freeName(federation: string): string {
    const isTaken = (name: string): boolean =>
      get(z.unknown(), 'SELECT 1 FROM membership WHERE name = ?', name) !== null;
    let name = federation;
    for (let count = 2; isTaken(name); count++) name = `${federation} (${count})`;
    return name;
  }

  return {
    ledger,
    crashPoint,
    transaction,
    close: () => database.close(),

    memberships: () => all(membershipRow, 'SELECT * FROM membership WHERE member = 1 ORDER BY number'),
    left: () =>
      all(z.object({ number: z.int() }), 'SELECT number FROM membership WHERE member = 0').map(
        ({ number }) => number,
      ),
    knownHub,
    join: ({ federation, site, urls, x25519, ed25519, roster_version }) => {
      const values = [site, JSON.stringify(urls), x25519, ed25519, roster_version];
      if (knownHub(ed25519) === null) {
        run(
          `INSERT INTO membership (name, federation, site, urls, x25519, ed25519, roster_version, member, entered)
           VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0)`,
          ...[freeName(federation), federation, ...values],
        );
      } else {
        run(
          `UPDATE membership SET site = ?, urls = ?, x25519 = ?, ed25519 = ?, roster_version = ?, member = 1
           WHERE ed25519 = ?`,
          ...[...values, ed25519],
        );
      }
      const joined = knownHub(ed25519);
      if (joined === null) throw new TypeError('The federation that was joined is not there.');
      // What was sent on the way here becomes the federation's.
      run('INSERT OR IGNORE INTO traffic (membership, sent, received) VALUES (?, 0, 0)', joined.number);
      run(
        `UPDATE traffic AS mine SET sent = mine.sent + way.sent, received = mine.received + way.received,
           updates = mine.updates + way.updates, scores = mine.scores + way.scores,
           answers = mine.answers + way.answers, progress = mine.progress + way.progress
         FROM traffic AS way WHERE mine.membership = ? AND way.membership = 0`,
        joined.number,
      );
      run('DELETE FROM traffic WHERE membership = 0');
      run('INSERT INTO traffic (membership, sent, received) VALUES (0, 0, 0)');
      return joined;
    },
    federation: (membership) =>
      openFederationStore(database, { ledger, crashPoint, transaction }, membership),

    keys: () => {
      const row = get(keysRow, 'SELECT generation, pending FROM own_keys');
      return { generation: row?.generation ?? 0, pending: row?.pending === 1 };
    },
    beginRotation: () => run('UPDATE own_keys SET pending = 1'),
    haveAllEntered: () =>
      get(
        z.object({ entered: z.int() }),
        'SELECT pending AND entered AS entered FROM own_keys, (SELECT MIN(entered) AS entered FROM membership WHERE member = 1)',
      )?.entered === 1,
    completeRotation: () => {
      run('UPDATE own_keys SET generation = generation + 1, pending = 0');
      run('UPDATE membership SET entered = 0');
    },

    recordedData: (kind) =>
      new Set(
        all(z.object({ id: z.int() }), "SELECT body ->> 'id' AS id FROM ledger WHERE kind = ?", kind).map(
          ({ id }) => id,
        ),
      ),

    runsTaughtBy: ({ id, name }) =>
      // The name of a withdrawn dataset may come again, so approvals count from the import on. Where an entry is from
      // before there could be several federations, it is taken for one of any.
      all(
        taughtRun,
        `SELECT DISTINCT COALESCE(membership.number, 1) AS federation, approval.body ->> 'run' AS run
         FROM ledger AS approval LEFT JOIN membership ON membership.name = approval.body ->> 'federation'
         WHERE approval.kind = 'approval' AND (approval.body ->> 'dataset' = @name OR EXISTS (
           SELECT 1 FROM ledger AS import WHERE import.kind = 'data-import' AND import.body ->> 'id' = @id
             AND import.body ->> 'dataset' = approval.body ->> 'dataset' AND import.position < approval.position
         )) AND EXISTS (
           SELECT 1 FROM ledger AS sent WHERE sent.kind = 'update' AND sent.position > approval.position
             AND sent.body ->> 'run' = approval.body ->> 'run'
             AND COALESCE(sent.body ->> 'federation' = approval.body ->> 'federation', TRUE)
         )`,
        { id, name },
      ),
    forgetApprovals: (dataset) =>
      run("DELETE FROM approval WHERE dataset = ? OR dataset LIKE ? || '@%'", dataset, dataset),

    countTraffic: (sent, received) => countTraffic(database, 0, { sent, received }),
    sent: () => get(trafficShape, trafficOf('')) ?? noTraffic(),
    exportLedger: (path) => exportLedger(database, path),
  };
}

/** The ledger with its first entry, which names the key that signs it, before whatever is entered first. */
function beginLedger(ledger: Ledger, { ed25519 }: Identity): Ledger {
  const key = Buffer.from(ed25519.publicKey).toString('base64url');
  return {
    ...ledger,
    append: (kind, body) => {
      if (ledger.head() === null) ledger.append('init', { role: 'site', ed25519: key });
      return ledger.append(kind, body);
    },
  };
}
