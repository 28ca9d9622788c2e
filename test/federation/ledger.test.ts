/** @file The ledger under attack: every way to alter it must be found, at the right entry, with the right reason. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../core/database.ts';
import type { SqliteDatabase } from '../../core/database.ts';
import type { Json } from '../../core/federation/canonical.ts';
import { generateKeys } from '../../core/federation/keys.ts';
import type { KeyPair } from '../../core/federation/keys.ts';
import { sign } from '../../core/federation/identity.ts';
import type { Statement } from '../../core/federation/identity.ts';
import {
  exportLedger,
  hashOfEntry,
  headStatement,
  LEDGER_TABLES,
  ledgerStatement,
  openLedger,
} from '../../core/federation/ledger.ts';
import type { Ledger, LedgerEntry, LedgerKind } from '../../core/federation/ledger.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import {
  approvalStatement,
  countersignStatement,
  updateStatement,
} from '../../core/federation/statements.ts';

let folder: string;
const databases: SqliteDatabase[] = [];
const hub = generateKeys('ed25519');
const site = generateKeys('ed25519');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const signed = (keys: KeyPair, statement: Statement): string => text(sign(keys, statement));
const parse = (line: string): LedgerEntry => JSON.parse(line) as LedgerEntry;
const planHash = 'a'.repeat(64);
const blobHash = 'b'.repeat(64);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-ledger-'));
});
afterEach(() => {
  for (const database of databases.splice(0)) database.close();
  rmSync(folder, { recursive: true });
});

function createLedger(name: string, keys: KeyPair): { ledger: Ledger; database: SqliteDatabase } {
  const database = openDatabase(join(folder, name), [LEDGER_TABLES]);
  databases.push(database);
  return { database, ledger: openLedger(database, { ed25519: keys }, () => 1_800_000_000) };
}

function append(database: SqliteDatabase, ledger: Ledger, kind: LedgerKind, body: Record<string, Json>) {
  return database.transaction(() => ledger.append(kind, body))();
}

/** A small hub's ledger of eight entries, and its exported file. */
async function writeHubLedger(): Promise<{ path: string; database: SqliteDatabase; ledger: Ledger }> {
  const { ledger, database } = createLedger('hub.sqlite', hub);
  append(database, ledger, 'init', { role: 'hub', federation: 'clinics', ed25519: text(hub.publicKey) });
  append(database, ledger, 'join', { site: 'north', ed25519: text(site.publicKey) });
  append(database, ledger, 'plan', { run: 'r1', planHash });
  const approval = { run: 'r1', planHash };
  append(database, ledger, 'approval', {
    site: 'north',
    ...approval,
    signature: signed(site, approvalStatement(approval)),
  });
  const start = append(database, ledger, 'round-start', { run: 'r1', round: 0 });
  const update = { run: 'r1', round: 0, hash: blobHash, examples: 60 };
  append(database, ledger, 'update', {
    site: 'north',
    ...update,
    signature: signed(site, updateStatement(update)),
  });
  append(database, ledger, 'aggregate', { run: 'r1', round: 0, hash: blobHash });
  append(database, ledger, 'countersign', {
    site: 'north',
    ...start,
    signature: signed(site, countersignStatement(start)),
  });
  const path = join(folder, 'ledger.jsonl');
  expect(await exportLedger(database, path)).toBe(8);
  return { path, database, ledger };
}

function edit(path: string, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  writeFileSync(path, `${change(lines).join('\n')}\n`);
}

/** Rebuilds the chain after a change, signed by `keys`: what an attacker with those keys could write. */
function rewrite(lines: string[], keys: KeyPair, change: (entries: LedgerEntry[]) => void): string[] {
  const entries = lines.slice(0, -1).map(parse);
  change(entries);
  let previous = '0'.repeat(64);
  const chained = entries.map((entry, index) => {
    const content = { index, time: entry.time, kind: entry.kind, body: entry.body, previous };
    previous = hashOfEntry(content);
    return { ...content, hash: previous, signature: signed(keys, ledgerStatement(previous)) };
  });
  const head = headStatement(entries.length, previous);
  return [...chained, { entries: entries.length, hash: previous, signature: signed(keys, head) }].map(
    (value) => JSON.stringify(value),
  );
}

describe('an untouched ledger', () => {
  it('verifies as a file and as a folder, also while the database is open', async () => {
    const { path } = await writeHubLedger();
    const report = { entries: 8, verified: true, firstBroken: null, owner: text(hub.publicKey) };
    expect(await verifyLedger(path)).toEqual(report);
    expect(await verifyLedger(folder)).toEqual(report);
    expect(await verifyLedger(path, { publicKey: hub.publicKey })).toEqual(report);
  });

  it('refuses changes and deletions in its table', async () => {
    const { database } = await writeHubLedger();
    expect(() => database.exec("UPDATE ledger SET kind = 'plan' WHERE position = 1")).toThrow(/append-only/);
    expect(() => database.exec('DELETE FROM ledger')).toThrow(/append-only/);
  });

  it('takes no entry outside a transaction and none of a transaction that fails', async () => {
    const { database, ledger } = await writeHubLedger();
    expect(() => ledger.append('plan', {})).toThrow(/transaction/);
    const failing = database.transaction(() => {
      ledger.append('plan', { run: 'r2' });
      throw new Error('no');
    });
    expect(failing).toThrow('no');
    expect(ledger.head()?.index).toBe(7);
    expect(await verifyLedger(folder)).toMatchObject({ verified: true, entries: 8 });
  });
});

describe('attacks on the file', () => {
  it.each<[string, (lines: string[]) => string[], number, RegExp]>([
    ['a changed number', (l) => l.with(5, l[5].replace('"examples":60', '"examples":61')), 5, /altered/],
    ['a changed time', (l) => l.with(2, l[2].replace('1800000000', '1800000001')), 2, /altered/],
    ['a line left out', (l) => l.toSpliced(4, 1), 4, /missing or out of order/],
    ['two lines exchanged', (l) => l.with(3, l[4]).with(4, l[3]), 3, /missing or out of order/],
    ['a line twice', (l) => l.toSpliced(3, 0, l[2]), 3, /missing or out of order/],
    ['the first line left out', (l) => l.slice(1), 0, /missing or out of order/],
    ['the last entry cut off', (l) => l.toSpliced(7, 1), 7, /had 8 entries; the tail is missing/],
    ['the tail cut off', (l) => l.slice(0, 6), 6, /cut off/],
    ['an entry after the end', (l) => [...l, l[7]], 8, /follow after the end/],
    ['half a line', (l) => l.with(6, l[6].slice(0, 40)), 6, /its line/],
    ['something else', (l) => l.with(6, '{"index":6}'), 6, /not an entry/],
    ['an empty file', () => [], 0, /cut off/],
    [
      'a broken signature',
      (l) => l.with(4, JSON.stringify({ ...parse(l[4]), signature: parse(l[3]).signature })),
      4,
      /not signed by the ledger's owner/,
    ],
    [
      'an entry rewritten with its hash',
      (l) => {
        const entry = parse(l[6]);
        const changed = { ...entry, body: { ...entry.body, round: 9 } };
        return l.with(6, JSON.stringify({ ...changed, hash: hashOfEntry(changed) }));
      },
      6,
      /not signed by the ledger's owner/,
    ],
    ['a chain signed by another key', (l) => rewrite(l, site, () => undefined), 0, /not signed/],
  ])('%s is found', async (_, attack, index, reason) => {
    const { path } = await writeHubLedger();
    edit(path, attack);
    const report = await verifyLedger(path);
    expect(report.verified).toBe(false);
    expect(report.firstBroken).toEqual({ index, reason: expect.stringMatching(reason) as string });
  });

  it('a ledger under a key of its own fails against the expected key', async () => {
    const { path } = await writeHubLedger();
    edit(path, (lines) =>
      rewrite(lines, site, (entries) => {
        entries[0] = { ...entries[0], body: { ...entries[0].body, ed25519: text(site.publicKey) } };
        entries.pop(); // the countersignature, which no longer fits
      }),
    );
    expect(await verifyLedger(path)).toMatchObject({ verified: true });
    const report = await verifyLedger(path, { publicKey: hub.publicKey });
    expect(report.firstBroken).toMatchObject({
      index: 0,
      reason: expect.stringContaining('another key') as string,
    });
  });

  it('any single changed byte is found', async () => {
    const { path } = await writeHubLedger();
    const original = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: original.length - 2 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const changed = Buffer.from(original);
          changed[at] ^= flip;
          writeFileSync(path, changed);
          expect((await verifyLedger(path)).verified).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a hub that rewrites its own ledger', () => {
  it.each<[string, (entries: LedgerEntry[]) => void, number, RegExp]>([
    [
      'an approval that the site never gave',
      (entries) => {
        entries[3] = { ...entries[3], body: { ...entries[3].body, planHash: 'c'.repeat(64) } };
      },
      3,
      /north did not sign/,
    ],
    [
      'an update with other examples',
      (entries) => {
        entries[5] = { ...entries[5], body: { ...entries[5].body, examples: 6000 } };
      },
      5,
      /north did not sign/,
    ],
    [
      'an approval without its signature',
      (entries) => {
        entries[3] = { ...entries[3], body: { site: 'north', run: 'r1', planHash } };
      },
      3,
      /lacks/,
    ],
    [
      'a member who never joined',
      (entries) => {
        entries[3] = { ...entries[3], body: { ...entries[3].body, site: 'south' } };
      },
      3,
      /south was never entered/,
    ],
    [
      'history before a countersignature',
      (entries) => {
        entries[4] = { ...entries[4], body: { run: 'r1', round: 1 } };
      },
      7,
      /north has seen another entry 4/,
    ],
  ])('cannot invent %s', async (_, change, index, reason) => {
    const { path } = await writeHubLedger();
    edit(path, (lines) => rewrite(lines, hub, change));
    const report = await verifyLedger(path);
    expect(report.firstBroken).toEqual({ index, reason: expect.stringMatching(reason) as string });
  });

  it('is betrayed by the ledgers of the sites when it drops its tail or changes it', async () => {
    const { path, ledger } = await writeHubLedger();
    const own = createLedger('site.jsonl.sqlite', site);
    const seen = { index: 6, hash: ledger.hashAt(6) };
    append(own.database, own.ledger, 'init', { role: 'site', name: 'north', ed25519: text(site.publicKey) });
    append(own.database, own.ledger, 'join', { site: 'north', hubEd25519: text(hub.publicKey) });
    append(own.database, own.ledger, 'countersign', seen);
    // Another federation of the same site bears no witness here.
    append(own.database, own.ledger, 'join', { site: 'north', hubEd25519: text(site.publicKey) });
    append(own.database, own.ledger, 'countersign', { index: 99, hash: blobHash });
    const witness = join(folder, 'north.jsonl');
    await exportLedger(own.database, witness);
    expect(await verifyLedger(path, { witnesses: [witness] })).toMatchObject({ verified: true });

    const original = readFileSync(path, 'utf8').trimEnd().split('\n');
    writeFileSync(path, rewrite(original, hub, (entries) => entries.splice(5)).join('\n'));
    expect(await verifyLedger(path)).toMatchObject({ verified: true, entries: 5 });
    const cut = await verifyLedger(path, { witnesses: [witness] });
    expect(cut.firstBroken).toMatchObject({ index: 5, reason: expect.stringContaining('tail') as string });

    const altered = rewrite(original, hub, (entries) => {
      entries.splice(7);
      entries[6] = { ...entries[6], body: { run: 'r1', round: 0, hash: 'd'.repeat(64) } };
    });
    writeFileSync(path, altered.join('\n'));
    const changed = await verifyLedger(path, { witnesses: [witness] });
    expect(changed.firstBroken).toMatchObject({
      index: 6,
      reason: expect.stringContaining('another') as string,
    });
  });

  it('and a witness that is broken itself is refused', async () => {
    const { path } = await writeHubLedger();
    const copy = join(folder, 'copy.jsonl');
    writeFileSync(copy, readFileSync(path, 'utf8').slice(0, 700));
    await expect(verifyLedger(path, { witnesses: [copy] })).rejects.toMatchObject({
      code: 'ledger.broken-witness',
    });
  });
});

it('says when there is no ledger at a path', async () => {
  await expect(verifyLedger(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'ledger.not-found' });
  await expect(verifyLedger(folder)).rejects.toMatchObject({ code: 'ledger.not-found' });
});
