/** @file The site's database: which federation it belongs to, what it approved, and how far each round is. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { openDatabase } from '../database.ts';
import { publishedShape } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { exportLedger, openLedger } from '../federation/ledger.ts';
import type { Ledger } from '../federation/ledger.ts';
import type { Identity, PublicIdentity } from '../federation/identity.ts';
import { anyBytesShape } from '../federation/shapes.ts';
import type { BlobReference } from '../federation/shapes.ts';
import type { Traffic } from '../federation/traffic.ts';
import { MIGRATIONS } from './migrations/index.ts';

/** Name of the database in a site's folder. */
export const DATABASE_FILE = 'site.sqlite';

const key = anyBytesShape;
const reference = z.string().transform((text): BlobReference => {
  const [hash, size] = text.split(' ');
  return { hash, size: Number(size) };
});
const spell = ({ hash, size }: BlobReference): string => `${hash} ${size}`;

const membershipRow = z.object({
  federation: z.string(),
  site: z.string(),
  urls: z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text))),
  x25519: key,
  ed25519: key,
  roster_version: z.int(),
});
const runRow = z.object({
  run: z.string(),
  plan: z.string(),
  plan_hash: z.string(),
  state: z.enum(['proposed', 'approved', 'declined', 'completed', 'failed', 'cancelled']),
  reason: z.string(),
  dataset: z.string().nullable(),
  examples: z.int().nullable(),
  adapter: reference.nullable(),
  adapter_delta: z
    .string()
    .transform((text) => publishedShape.shape.delta.parse(JSON.parse(text)))
    .nullable(),
  /** 1 once the adapter has been fetched and kept. */
  saved: z.int(),
  amendment: z.string().nullable(),
  amendment_hash: z.string().nullable(),
  /** 1 once it is approved here. */
  amendment_approved: z.int(),
});
const roundRow = z.object({
  run: z.string(),
  round: z.int(),
  base: reference,
  /** The hub's control variate; null where it is zero or there is none. */
  control: reference.nullable(),
  learning_rate: z.number(),
  phase: z.enum(['training', 'sending', 'committed', 'late', 'refused']),
  blob: reference.nullable(),
  examples: z.int().nullable(),
  loss: z.number().nullable(),
  metrics: z
    .string()
    .transform((text) => z.record(z.string(), z.number()).parse(JSON.parse(text)))
    .nullable(),
  aggregate: reference.nullable(),
});

const keysRow = z.object({ generation: z.int(), pending: z.int() });
const trafficRow = z.object({
  sent: z.int(),
  updates: z.int(),
  scores: z.int(),
  answers: z.int(),
  progress: z.int(),
});

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

/** How a person has stopped a run; of one that is `finishing` the round under way is still sent, then it is `paused`. */
const stopRow = z.object({ how: z.enum(['finishing', 'paused', 'discarded', 'declined']) });
export type Stop = z.infer<typeof stopRow>['how'];

/** The federation this site belongs to and the hub it has pinned. */
export type Membership = z.infer<typeof membershipRow>;
export type SiteRun = z.infer<typeof runRow>;
export type SiteRound = z.infer<typeof roundRow>;

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
export interface SiteStore {
  readonly ledger: Ledger;
  readonly crashPoint: SiteCrashPoint;
  /** Runs `work` as one transaction, on disk when this returns. */
  transaction<T>(name: SiteTransition, work: () => T): T;
  membership(): Membership | null;
  join(membership: Membership): void;
  /** Forgets the federation with its runs and approvals. */
  leave(): void;
  sawRoster(version: number): void;
  /** Pins other keys of the hub. */
  pinHub(keys: PublicIdentity): void;
  /** How often this site's keys have changed, and whether new ones wait for the hub to enter them. */
  keys(): { readonly generation: number; readonly pending: boolean };
  beginRotation(): void;
  /** The new keys count from here on. */
  completeRotation(): void;
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
  /** Ids of the datasets' versions whose import, or whose withdrawal, is in the ledger. */
  recordedData(kind: 'data-import' | 'data-withdrawal'): ReadonlySet<number>;
  /** Runs of which the ledger has an update that learned from this version of a dataset. */
  runsTaughtBy(version: { readonly id: number; readonly name: string }): string[];
  /** Forgets which runs may use a dataset. */
  forgetApprovals(dataset: string): void;
  countTraffic(sent: Traffic, received: number): void;
  /** Bytes sent to the hub since this site exists. */
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
  const get = <T>(shape: z.ZodType<T>, sql: string, ...values: unknown[]): T | null => {
    const row = database.prepare(sql).get(...values);
    return row === undefined ? null : shape.parse(row);
  };
  const run = (sql: string, ...values: unknown[]): void => {
    if (!database.inTransaction) throw new TypeError('A change belongs in a transaction.');
    database.prepare(sql).run(...values);
  };

  return {
    ledger,
    crashPoint,
    transaction: (name, work) => {
      crashPoint(`${name}:before`);
      const result = database.transaction(work).immediate();
      crashPoint(`${name}:after`);
      return result;
    },
    close: () => database.close(),

    membership: () => get(membershipRow, 'SELECT * FROM membership'),
    join: ({ federation, site, urls, x25519, ed25519, roster_version }) => {
      run('DELETE FROM membership');
      run(
        'INSERT INTO membership VALUES (1, ?, ?, ?, ?, ?, ?)',
        ...[federation, site, JSON.stringify(urls), x25519, ed25519, roster_version],
      );
    },
    leave: () => {
      // Another federation may use the same names of runs; the ledger keeps what was.
      for (const table of ['round', 'run', 'approval', 'membership']) run(`DELETE FROM ${table}`);
    },
    keys: () => {
      const row = get(keysRow, 'SELECT generation, pending FROM own_keys');
      return { generation: row?.generation ?? 0, pending: row?.pending === 1 };
    },
    beginRotation: () => run('UPDATE own_keys SET pending = 1'),
    completeRotation: () => run('UPDATE own_keys SET generation = generation + 1, pending = 0'),
    pinHub: ({ x25519, ed25519 }) => run('UPDATE membership SET x25519 = ?, ed25519 = ?', x25519, ed25519),
    sawRoster: (version) => run('UPDATE membership SET roster_version = ?', version),

    countersigned: (index) =>
      get(
        z.object({ hash: z.string() }),
        `SELECT body ->> 'hash' AS hash FROM ledger WHERE position > (
           SELECT MAX(position) FROM ledger WHERE kind = 'join'
         ) AND kind = 'countersign' AND body ->> 'index' = ?`,
        index,
      )?.hash ?? null,

    approve: (id, dataset) => run('INSERT OR REPLACE INTO approval VALUES (?, ?)', id, dataset),
    approvedDataset: (id) =>
      get(
        z.object({ dataset: z.string() }),
        "SELECT dataset FROM approval WHERE run IN (?, '*') ORDER BY run = '*' LIMIT 1",
        id,
      )?.dataset ?? null,

    run: (id) => get(runRow, 'SELECT * FROM run WHERE run = ?', id),
    runs: () => z.array(runRow).parse(database.prepare('SELECT * FROM run ORDER BY rowid DESC').all()),
    putRun: (id, plan, planHash) =>
      run(
        "INSERT INTO run (run, plan, plan_hash, state, reason) VALUES (?, ?, ?, 'proposed', '')",
        id,
        plan,
        planHash,
      ),
    setRun: (id, state, reason) =>
      run('UPDATE run SET state = ?, reason = ? WHERE run = ?', state, reason, id),
    stopped: (id) => get(stopRow, 'SELECT how FROM stop WHERE run = ?', id)?.how ?? null,
    setStopped: (id, how) => run('INSERT OR REPLACE INTO stop VALUES (?, ?)', id, how),
    setApproved: (id, dataset, examples) => {
      run('DELETE FROM stop WHERE run = ?', id);
      run(
        "UPDATE run SET state = 'approved', reason = '', dataset = ?, examples = ? WHERE run = ?",
        dataset,
        examples,
        id,
      );
    },
    setAdapter: (id, adapter) => {
      const delta = adapter.delta === undefined ? null : JSON.stringify(adapter.delta);
      run('UPDATE run SET adapter = ?, adapter_delta = ? WHERE run = ?', spell(adapter), delta, id);
    },

    setSaved: (id) => run('UPDATE run SET saved = 1 WHERE run = ?', id),
    setAmendment: (id, { plan, planHash }) =>
      run(
        'UPDATE run SET amendment = ?, amendment_hash = ?, amendment_approved = 0 WHERE run = ?',
        plan,
        planHash,
        id,
      ),
    setAmendmentApproved: (id) => run('UPDATE run SET amendment_approved = 1 WHERE run = ?', id),
    adoptAmendment: (id) =>
      run(
        `UPDATE run SET plan = amendment, plan_hash = amendment_hash, amendment = NULL, amendment_hash = NULL,
           amendment_approved = 0 WHERE run = ? AND amendment IS NOT NULL`,
        id,
      ),
    isUpdate: (hash) =>
      database.prepare("SELECT 1 FROM round WHERE blob LIKE ? || ' %'").get(hash) !== undefined,

    round: (id, number) => get(roundRow, 'SELECT * FROM round WHERE run = ? AND round = ?', id, number),
    lastRound: (id) => get(roundRow, 'SELECT * FROM round WHERE run = ? ORDER BY round DESC LIMIT 1', id),
    rounds: (id) =>
      z.array(roundRow).parse(database.prepare('SELECT * FROM round WHERE run = ? ORDER BY round').all(id)),
    discardRounds: (id) => run("DELETE FROM round WHERE run = ? AND phase IN ('training', 'sending')", id),
    beginRound: (round) =>
      run(
        `INSERT OR REPLACE INTO round (run, round, base, control, learning_rate, phase)
         VALUES (?, ?, ?, ?, ?, 'training')`,
        ...[round.run, round.round, spell(round.base), round.control && spell(round.control)],
        round.learning_rate,
      ),
    setTrained: (id, number, { blob, examples, loss, metrics }, carried) => {
      run(
        `UPDATE round SET phase = 'sending', blob = ?, examples = ?, loss = ?, metrics = ?
         WHERE run = ? AND round = ?`,
        ...[spell(blob), examples, loss, JSON.stringify(metrics), id, number],
      );
      run('DELETE FROM carried WHERE run = ? AND round = ?', id, number);
      for (const [name, state] of Object.entries(carried))
        run('INSERT INTO carried VALUES (?, ?, ?, ?)', id, number, name, spell(state));
    },
    carriedInto: (id, number) => {
      const rows = database
        .prepare(
          `SELECT name, blob FROM carried WHERE run = @id AND round = (
             SELECT MAX(round) FROM round WHERE run = @id AND round < @number AND phase = 'committed')`,
        )
        .all({ id, number });
      const blobs = z.array(z.object({ name: z.string(), blob: reference })).parse(rows);
      return Object.fromEntries(blobs.map(({ name, blob }) => [name, blob]));
    },
    setPhase: (id, number, phase) =>
      run('UPDATE round SET phase = ? WHERE run = ? AND round = ?', phase, id, number),
    setAggregate: (id, number, aggregate) =>
      run('UPDATE round SET aggregate = ? WHERE run = ? AND round = ?', spell(aggregate), id, number),

    needsBlob: (hash) =>
      database
        .prepare(
          `WITH open AS (
             SELECT run FROM run WHERE state = 'approved' UNION SELECT run FROM stop WHERE how = 'paused')
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
        )
        .get({ blob: `${hash} %`, hash }) !== undefined,

    recordedData: (kind) => {
      const rows = database.prepare("SELECT body ->> 'id' AS id FROM ledger WHERE kind = ?").all(kind);
      return new Set(
        z
          .array(z.object({ id: z.int() }))
          .parse(rows)
          .map(({ id }) => id),
      );
    },

    runsTaughtBy: ({ id, name }) => {
      // The name of a withdrawn dataset may come again, so approvals count from the import on.
      const rows = database
        .prepare(
          `SELECT DISTINCT approval.body ->> 'run' AS run FROM ledger AS approval
           WHERE approval.kind = 'approval' AND (approval.body ->> 'dataset' = @name OR EXISTS (
             SELECT 1 FROM ledger AS import WHERE import.kind = 'data-import' AND import.body ->> 'id' = @id
               AND import.body ->> 'dataset' = approval.body ->> 'dataset' AND import.position < approval.position
           )) AND EXISTS (
             SELECT 1 FROM ledger AS sent WHERE sent.kind = 'update' AND sent.position > approval.position
               AND sent.body ->> 'run' = approval.body ->> 'run'
           )`,
        )
        .all({ id, name });
      return z
        .array(z.object({ run: z.string() }))
        .parse(rows)
        .map((row) => row.run);
    },
    forgetApprovals: (dataset) =>
      run("DELETE FROM approval WHERE dataset = ? OR dataset LIKE ? || '@%'", dataset, dataset),

    countTraffic: ({ updates, scores, answers, progress, connection }, received) => {
      const sent = updates + scores + answers + progress + connection;
      database.pragma('synchronous = NORMAL'); // a count every second need not wait for the disk
      database
        .prepare(
          `UPDATE traffic SET sent = sent + @sent, received = received + @received, updates = updates + @updates,
             scores = scores + @scores, answers = answers + @answers, progress = progress + @progress`,
        )
        .run({ sent, received, updates, scores, answers, progress });
      database.pragma('synchronous = FULL');
    },
    exportLedger: (path) => exportLedger(database, path),
    sent: () => {
      const row = get(trafficRow, 'SELECT sent, updates, scores, answers, progress FROM traffic');
      const { sent = 0, updates = 0, scores = 0, answers = 0, progress = 0 } = row ?? {};
      return { updates, scores, answers, progress, connection: sent - updates - scores - answers - progress };
    },
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
