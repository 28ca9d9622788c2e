/** @file What a site's database holds of one federation: what the site approved there, and how far each round is. */

import { z } from 'zod';
import { transact } from '../database.ts';
import type { SqliteDatabase } from '../database.ts';
import type { Published } from '../federation/broadcast.ts';
import type { PublicIdentity } from '../federation/identity.ts';
import type { Ledger } from '../federation/ledger.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { noTraffic } from '../federation/traffic.ts';
import type { Traffic } from '../federation/traffic.ts';
import type { SiteStore } from './store.ts';
import {
  keysRow,
  membershipRow,
  reference,
  roundRow,
  runRow,
  spell,
  stopRow,
  tablesOf,
  trafficOf,
  trafficShape,
} from './tables.ts';
import type { Membership, SiteRound, SiteRun, Stop } from './tables.ts';

/** What training has made of a round. */
export interface TrainedUpdate {
  readonly blob: BlobReference;
  readonly examples: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Blobs by name that a round leaves for the next one of the run. */
export type Carried = Readonly<Record<string, BlobReference>>;

/** Rounds that were closed keep what they carry for so long, for a hub that is restored from a backup. */
const KEPT_ROUNDS = 3;

/** Every function that writes is to be called within `transaction`, together with its ledger entry. */
export interface FederationStore extends Pick<SiteStore, 'crashPoint' | 'transaction'> {
  /** The site's ledger; what is entered here names the federation. */
  readonly ledger: Ledger;
  /** Null once the site has left it. */
  membership(): Membership | null;
  /** Forgets its runs and approvals. */
  leave(): void;
  sawRoster(version: number): void;
  /** Pins other keys of the hub. */
  pinHub(keys: PublicIdentity): void;
  /** How often this site's keys have changed, and whether new ones wait for this hub to enter them. */
  keys(): { readonly generation: number; readonly pending: boolean };
  /** This hub has entered the new keys. */
  enterKeys(): void;
  /** The hash of an entry of the hub's ledger that this site has countersigned, or null. */
  countersigned(index: number): string | null;
  approve(run: string, dataset: string): void;
  /** The dataset approved for this run, by itself or by the standing approval. */
  approvedDataset(run: string): string | null;
  run(run: string): SiteRun | null;
  /** Newest first. */
  runs(): SiteRun[];
  putRun(run: string, plan: string, planHash: string): void;
  setRun(run: string, state: SiteRun['state'], reason: string): void;
  /** How a person has stopped it, or null. */
  stopped(run: string): Stop | null;
  setStopped(run: string, how: Stop): void;
  /** Ends what a person has stopped, too. */
  setApproved(run: string, dataset: string, examples: number): void;
  setAdapter(run: string, adapter: Published): void;
  setSaved(run: string): void;
  /** A plan with more rounds, not approved yet. */
  setAmendment(run: string, amendment: { plan: string; planHash: string }): void;
  setAmendmentApproved(run: string): void;
  /** The amended plan takes the place of the plan. */
  adoptAmendment(run: string): void;
  /** Whether this blob is an update that the site has trained. */
  isUpdate(hash: string): boolean;
  round(run: string, round: number): SiteRound | null;
  /** The last round that was begun here. */
  lastRound(run: string): SiteRound | null;
  /** Those that were begun, in their order. */
  rounds(run: string): SiteRound[];
  /** Forgets rounds of which no update was acknowledged. */
  discardRounds(run: string): void;
  /** Begins a round; one that is known with another base begins anew. */
  beginRound(round: Pick<SiteRound, 'run' | 'round' | 'base' | 'control' | 'learning_rate'>): void;
  setTrained(run: string, round: number, update: TrainedUpdate, carried: Carried): void;
  /** What the last round before this one that counted has left; empty before the first. */
  carriedInto(run: string, round: number): Carried;
  setPhase(run: string, round: number, phase: SiteRound['phase']): void;
  setAggregate(run: string, round: number, aggregate: BlobReference): void;
  /**
   * Whether a blob is still of use: an adapter of a run that ended, what the last round of a run started from, which
   * the next may follow from, and until that one is trained the base before, an update under way, what is carried on.
   */
  needsBlob(hash: string): boolean;
  countTraffic(sent: Traffic, received: number): void;
  /** Bytes sent to its hub since the site first joined it. */
  sent(): Traffic;
}

export function openFederationStore(
  database: SqliteDatabase,
  { ledger, crashPoint, transaction }: Pick<SiteStore, 'ledger' | 'crashPoint' | 'transaction'>,
  { number, name }: Pick<Membership, 'number' | 'name'>,
): FederationStore {
  const { get, all, run } = tablesOf(database);
  const here = 'WHERE membership = ?';
  const needsBlob = database.prepare(
    `WITH run AS (SELECT * FROM main.run WHERE membership = @number),
       round AS (SELECT * FROM main.round WHERE membership = @number),
       carried AS (SELECT * FROM main.carried WHERE membership = @number),
       open AS (
         SELECT run FROM run WHERE state = 'approved'
         UNION SELECT run FROM stop WHERE membership = @number AND how = 'paused')
     SELECT 1 FROM run WHERE adapter LIKE @blob
       OR saved = 0 AND adapter_delta ->> '$.hash' = @hash
       OR run IN open AND plan ->> '$.adapter.start.hash' = @hash
     UNION SELECT 1 FROM round JOIN run USING (run)
     WHERE run IN open AND phase = 'sending' AND blob LIKE @blob
       OR (run IN open OR saved = 0 AND adapter IS NOT NULL)
       AND (base LIKE @blob OR control LIKE @blob)
       AND round >= (SELECT MAX(round) - (phase = 'training') FROM round AS last WHERE last.run = run.run)
     UNION SELECT 1 FROM carried JOIN run USING (run)
     WHERE (run IN open OR saved = 0 AND adapter IS NOT NULL) AND blob LIKE @blob AND round >= (
       SELECT COALESCE(MIN(round), 0) FROM (
         SELECT round FROM round AS counted
         WHERE counted.run = carried.run AND phase = 'committed' AND aggregate IS NOT NULL
         ORDER BY round DESC LIMIT ${KEPT_ROUNDS}))`,
  );

  return {
    crashPoint,
    transaction,
    ledger: { ...ledger, append: (kind, body) => ledger.append(kind, { federation: name, ...body }) },

    membership: () => get(membershipRow, 'SELECT * FROM membership WHERE number = ? AND member = 1', number),
    leave: () => {
      // The hub may use the names of runs again; the ledger keeps what was.
      for (const table of ['run', 'approval']) run(`DELETE FROM ${table} ${here}`, number);
      run('UPDATE membership SET member = 0, entered = 0 WHERE number = ?', number);
    },
    sawRoster: (version) => run('UPDATE membership SET roster_version = ? WHERE number = ?', version, number),
    pinHub: ({ x25519, ed25519 }) =>
      run('UPDATE membership SET x25519 = ?, ed25519 = ? WHERE number = ?', x25519, ed25519, number),
    keys: () => {
      const row = get(
        keysRow,
        'SELECT generation, pending AND NOT entered AS pending FROM own_keys, membership WHERE number = ?',
        number,
      );
      return { generation: row?.generation ?? 0, pending: row?.pending === 1 };
    },
    enterKeys: () => run('UPDATE membership SET entered = 1 WHERE number = ?', number),

    countersigned: (index) =>
      // Entries from before a site could have several federations name none.
      get(
        z.object({ hash: z.string() }),
        `SELECT body ->> 'hash' AS hash FROM ledger WHERE position > (
           SELECT MAX(position) FROM ledger WHERE kind = 'join' AND body ->> 'federation' = @name
         ) AND kind = 'countersign' AND body ->> 'index' = @index
           AND COALESCE(body ->> 'federation', @name) = @name`,
        { name, index },
      )?.hash ?? null,

    approve: (id, dataset) => run('INSERT OR REPLACE INTO approval VALUES (?, ?, ?)', number, id, dataset),
    approvedDataset: (id) =>
      get(
        z.object({ dataset: z.string() }),
        `SELECT dataset FROM approval ${here} AND run IN (?, '*') ORDER BY run = '*' LIMIT 1`,
        ...[number, id],
      )?.dataset ?? null,

    run: (id) => get(runRow, `SELECT * FROM run ${here} AND run = ?`, number, id),
    runs: () => all(runRow, `SELECT * FROM run ${here} ORDER BY rowid DESC`, number),
    putRun: (id, plan, planHash) =>
      run(
        "INSERT INTO run (membership, run, plan, plan_hash, state, reason) VALUES (?, ?, ?, ?, 'proposed', '')",
        ...[number, id, plan, planHash],
      ),
    setRun: (id, state, reason) =>
      run(`UPDATE run SET state = ?, reason = ? ${here} AND run = ?`, state, reason, number, id),
    stopped: (id) => get(stopRow, `SELECT how FROM stop ${here} AND run = ?`, number, id)?.how ?? null,
    setStopped: (id, how) => run('INSERT OR REPLACE INTO stop VALUES (?, ?, ?)', number, id, how),
    setApproved: (id, dataset, examples) => {
      run(`DELETE FROM stop ${here} AND run = ?`, number, id);
      run(
        `UPDATE run SET state = 'approved', reason = '', dataset = ?, examples = ? ${here} AND run = ?`,
        ...[dataset, examples, number, id],
      );
    },
    setAdapter: (id, adapter) => {
      const delta = adapter.delta === undefined ? null : JSON.stringify(adapter.delta);
      run(
        `UPDATE run SET adapter = ?, adapter_delta = ? ${here} AND run = ?`,
        ...[spell(adapter), delta, number, id],
      );
    },

    setSaved: (id) => run(`UPDATE run SET saved = 1 ${here} AND run = ?`, number, id),
    setAmendment: (id, { plan, planHash }) =>
      run(
        `UPDATE run SET amendment = ?, amendment_hash = ?, amendment_approved = 0 ${here} AND run = ?`,
        ...[plan, planHash, number, id],
      ),
    setAmendmentApproved: (id) =>
      run(`UPDATE run SET amendment_approved = 1 ${here} AND run = ?`, number, id),
    adoptAmendment: (id) =>
      run(
        `UPDATE run SET plan = amendment, plan_hash = amendment_hash, amendment = NULL, amendment_hash = NULL,
           amendment_approved = 0 ${here} AND run = ? AND amendment IS NOT NULL`,
        ...[number, id],
      ),
    isUpdate: (hash) =>
      database.prepare(`SELECT 1 FROM round ${here} AND blob LIKE ? || ' %'`).get(number, hash) !== undefined,

    round: (id, round) =>
      get(roundRow, `SELECT * FROM round ${here} AND run = ? AND round = ?`, number, id, round),
    lastRound: (id) =>
      get(roundRow, `SELECT * FROM round ${here} AND run = ? ORDER BY round DESC LIMIT 1`, number, id),
    rounds: (id) => all(roundRow, `SELECT * FROM round ${here} AND run = ? ORDER BY round`, number, id),
    discardRounds: (id) =>
      run(`DELETE FROM round ${here} AND run = ? AND phase IN ('training', 'sending')`, number, id),
    beginRound: (round) =>
      run(
        `INSERT OR REPLACE INTO round (membership, run, round, base, control, learning_rate, phase)
         VALUES (?, ?, ?, ?, ?, ?, 'training')`,
        ...[number, round.run, round.round, spell(round.base), round.control && spell(round.control)],
        round.learning_rate,
      ),
    setTrained: (id, round, { blob, examples, loss, metrics }, carried) => {
      run(
        `UPDATE round SET phase = 'sending', blob = ?, examples = ?, loss = ?, metrics = ?
         ${here} AND run = ? AND round = ?`,
        ...[spell(blob), examples, loss, JSON.stringify(metrics), number, id, round],
      );
      run(`DELETE FROM carried ${here} AND run = ? AND round = ?`, number, id, round);
      for (const [part, state] of Object.entries(carried))
        run('INSERT INTO carried VALUES (?, ?, ?, ?, ?)', number, id, round, part, spell(state));
    },
    carriedInto: (id, round) => {
      const blobs = all(
        z.object({ name: z.string(), blob: reference }),
        `SELECT name, blob FROM carried WHERE membership = @number AND run = @id AND round = (
           SELECT MAX(round) FROM round
           WHERE membership = @number AND run = @id AND round < @round AND phase = 'committed')`,
        { number, id, round },
      );
      return Object.fromEntries(blobs.map((part) => [part.name, part.blob]));
    },
    setPhase: (id, round, phase) =>
      run(`UPDATE round SET phase = ? ${here} AND run = ? AND round = ?`, phase, number, id, round),
    setAggregate: (id, round, aggregate) =>
      run(
        `UPDATE round SET aggregate = ? ${here} AND run = ? AND round = ?`,
        ...[spell(aggregate), number, id, round],
      ),

    needsBlob: (hash) => needsBlob.get({ number, blob: `${hash} %`, hash }) !== undefined,

    countTraffic: (sent, received) => countTraffic(database, number, { sent, received }),
    sent: () => get(trafficShape, trafficOf(here), number) ?? noTraffic(),
  };
}

/** Adds to what was exchanged with the hub of a federation. */
export function countTraffic(
  database: SqliteDatabase,
  membership: number,
  { sent: kinds, received }: { readonly sent: Traffic; readonly received: number },
): void {
  const { updates, scores, answers, progress, connection } = kinds;
  const sent = updates + scores + answers + progress + connection;
  database.pragma('synchronous = NORMAL'); // a count every second need not wait for the disk
  const count = database.prepare(
    `UPDATE traffic SET sent = sent + @sent, received = received + @received, updates = updates + @updates,
       scores = scores + @scores, answers = answers + @answers, progress = progress + @progress
     WHERE membership = @membership`,
  );
  try {
    transact(database, () => count.run({ membership, sent, received, updates, scores, answers, progress }));
  } finally {
    database.pragma('synchronous = FULL');
  }
}
