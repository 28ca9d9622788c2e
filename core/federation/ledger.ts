/** @file The ledger: an append-only log in SQLite, each entry hashed over the one before it and signed. */

import { z } from 'zod';
import type { SqliteDatabase } from '../database.ts';
import { writeFileAtomically } from '../files.ts';
import { machine } from '../machine.ts';
import { canonicalJson, sha256 } from './canonical.ts';
import type { Json } from './canonical.ts';
import { sign } from './identity.ts';
import type { Identity, Statement } from './identity.ts';
import type { KeyPair } from './keys.ts';
import { hashShape, signatureTextShape } from './shapes.ts';

/** What an entry may record. `init` is the first entry of every ledger and names the key that signs it. */
export const LEDGER_KINDS = [
  'init',
  'invite',
  'join',
  'revoke',
  // The keys of the ledger's owner change; what follows is signed with the new ones.
  'rotation',
  // A site's keys change, as its hub enters it.
  'member-rotation',
  // A hub's keys change, as a site pins them.
  'hub-rotation',
  'plan',
  'rehearsal',
  'approval',
  'refusal',
  'round-start',
  'update',
  'aggregate',
  'evaluation',
  'amendment',
  'pause',
  'countersign',
  'run-end',
  'data-import',
  'data-withdrawal',
] as const;
export type LedgerKind = (typeof LEDGER_KINDS)[number];

/** Hash that the first entry follows. */
export const NO_ENTRY = '0'.repeat(64);

export const ledgerEntryShape = z.strictObject({
  /** From 0, without gaps. */
  index: z.int().min(0),
  /** Unix seconds by the writer's clock. */
  time: z.int().min(0),
  kind: z.enum(LEDGER_KINDS),
  body: z.record(z.string(), z.json()),
  /** Hash of the entry before. */
  previous: hashShape,
  /** SHA-256 of the canonical JSON of the five fields above. */
  hash: hashShape,
  /** Ed25519 over `ledgerStatement(hash)`, base64url. */
  signature: signatureTextShape,
});
export type LedgerEntry = z.infer<typeof ledgerEntryShape>;

/** Last line of an exported ledger: how long it is, so that a missing tail shows. */
export const ledgerHeadShape = z.strictObject({
  entries: z.int().min(1),
  hash: hashShape,
  signature: signatureTextShape,
});

/** The signed part of an entry. */
export interface LedgerContent {
  readonly index: number;
  readonly time: number;
  readonly kind: LedgerKind;
  readonly body: Readonly<Record<string, Json>>;
  readonly previous: string;
}

/** The hash of an entry's content. */
export function hashOfEntry(entry: LedgerContent): string {
  const { index, time, kind, body, previous } = entry;
  return sha256(canonicalJson({ index, time, kind, body, previous }));
}

/** What the owner of a ledger signs for each entry. */
export function ledgerStatement(hash: string): Statement {
  return ['tributary ledger', hash];
}

/** What the owner signs for the length of the ledger. */
export function headStatement(entries: number, hash: string): Statement {
  return ['tributary ledger', entries, hash];
}

/** Tables of a ledger, for the migrations of the database that holds it. Rows can be neither changed nor deleted. */
export const LEDGER_TABLES = `
  CREATE TABLE ledger (
    position INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    signature TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER ledger_keeps_rows BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER ledger_keeps_content BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TABLE ledger_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    entries INTEGER NOT NULL,
    hash TEXT NOT NULL,
    signature TEXT NOT NULL
  ) STRICT;
`;

/** Some entries, newest first. */
export interface LedgerPage {
  /** Entries of the whole ledger. */
  readonly total: number;
  readonly entries: readonly LedgerEntry[];
}

export interface Ledger {
  /** Adds an entry. Call it within the transaction that makes what it records true. */
  append(
    kind: LedgerKind,
    body: Readonly<Record<string, Json>>,
  ): { readonly index: number; readonly hash: string };
  /** Enters new keys of the owner, signed with those before; from the next entry on the new ones sign. */
  rotate(next: Identity, body: Readonly<Record<string, Json>>): void;
  /** Position and hash of the last entry, or null for an empty ledger. */
  head(): { readonly index: number; readonly hash: string } | null;
  /** Hash of an entry, or null if the ledger is shorter. */
  hashAt(index: number): string | null;
  /** Entries older than an index, or the newest for null. */
  page(before: number | null, limit: number): LedgerPage;
}

/**
 * The ledger of a database whose migrations created `LEDGER_TABLES`, signed with the keys that its owner has at the
 * time. `now` gives Unix seconds.
 */
export function openLedger(
  database: SqliteDatabase,
  owner: Pick<Identity, 'ed25519'>,
  now: () => number = unixSeconds,
): Ledger {
  const last = database.prepare<[], { index: number; hash: string }>(
    'SELECT position AS "index", hash FROM ledger ORDER BY position DESC LIMIT 1',
  );
  const one = database.prepare<[number], { hash: string }>('SELECT hash FROM ledger WHERE position = ?');
  const older = database.prepare<[number, number], LedgerRow>(
    `SELECT position AS "index", time, kind, body, previous, hash, signature FROM ledger
     WHERE position < ? ORDER BY position DESC LIMIT ?`,
  );
  const insert = database.prepare(
    `INSERT INTO ledger (position, time, kind, body, previous, hash, signature)
     VALUES (@index, @time, @kind, @body, @previous, @hash, @signature)`,
  );
  const setHead = database.prepare(
    `INSERT INTO ledger_head (only, entries, hash, signature) VALUES (1, @entries, @hash, @signature)
     ON CONFLICT (only) DO UPDATE
     SET entries = excluded.entries, hash = excluded.hash, signature = excluded.signature`,
  );
  const signed = (keys: KeyPair, statement: Statement): string =>
    Buffer.from(sign(keys, statement)).toString('base64url');

  function append(kind: LedgerKind, body: LedgerContent['body'], heir: KeyPair) {
    if (!database.inTransaction) throw new TypeError('A ledger entry belongs in the transaction it records.');
    const before = last.get();
    const index = before === undefined ? 0 : before.index + 1;
    const content = { index, time: now(), kind, body, previous: before?.hash ?? NO_ENTRY };
    const hash = hashOfEntry(content);
    const entry = { ...content, hash, signature: signed(owner.ed25519, ledgerStatement(hash)) };
    insert.run({ ...entry, body: canonicalJson(body) });
    setHead.run({ entries: index + 1, hash, signature: signed(heir, headStatement(index + 1, hash)) });
    return { index, hash };
  }

  return {
    append: (kind, body) => append(kind, body, owner.ed25519),
    rotate: (next, body) => {
      const ed25519 = Buffer.from(next.ed25519.publicKey).toString('base64url');
      append('rotation', { ...body, ed25519 }, next.ed25519);
    },
    head: () => last.get() ?? null,
    hashAt: (index) => one.get(index)?.hash ?? null,
    page: (before, limit) => {
      const total = (last.get()?.index ?? -1) + 1;
      const rows = older.all(before ?? total, limit);
      return {
        total,
        entries: rows.map((row) => ledgerEntryShape.parse({ ...row, body: parseBody(row.body) })),
      };
    },
  };
}

const bodyShape = ledgerEntryShape.shape.body;
const parseBody = (text: string): LedgerEntry['body'] => bodyShape.parse(JSON.parse(text));

function unixSeconds(): number {
  return Math.floor(machine.date() / 1000);
}

interface LedgerRow {
  readonly index: number;
  readonly time: number;
  readonly kind: string;
  readonly body: string;
  readonly previous: string;
  readonly hash: string;
  readonly signature: string;
}

/** The lines of an exported ledger, as JSON values: every entry, then the head. Reads row by row. */
export function* ledgerLines(database: SqliteDatabase): Generator<unknown> {
  const rows = database.prepare<[], LedgerRow>(
    'SELECT position AS "index", time, kind, body, previous, hash, signature FROM ledger ORDER BY position',
  );
  for (const row of rows.iterate()) {
    let body: unknown = row.body;
    try {
      body = JSON.parse(row.body);
    } catch {
      // Left as text: the verifier then names this entry as broken.
    }
    yield { ...row, body };
  }
  const head = database.prepare('SELECT entries, hash, signature FROM ledger_head').get();
  if (head !== undefined) yield head;
}

/** Writes the ledger as JSON Lines, atomically. Returns the number of entries. */
export async function exportLedger(database: SqliteDatabase, path: string): Promise<number> {
  const lines = database.transaction(() => [...ledgerLines(database)].map((line) => JSON.stringify(line)))();
  await writeFileAtomically(path, `${lines.join('\n')}\n`);
  return Math.max(0, lines.length - 1);
}
