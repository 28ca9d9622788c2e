/** @file Checks a ledger offline, entry by entry, and names the first one that is broken and why. */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { readJsonLines } from '../jsonl.ts';
import type { BrokenLine, JsonLine } from '../jsonl.ts';
import { verify } from './identity.ts';
import {
  hashOfEntry,
  headStatement,
  ledgerEntryShape,
  ledgerHeadShape,
  ledgerLines,
  ledgerStatement,
  NO_ENTRY,
} from './ledger.ts';
import type { LedgerEntry } from './ledger.ts';
import { createEvidence } from './ledger-evidence.ts';
import { hashShape, keyTextShape } from './shapes.ts';

/** Databases that a hub's and a site's folder keep their ledger in. */
const DATABASES = ['hub.sqlite', 'site.sqlite'];

export interface LedgerReport {
  /** Entries that were read, the broken one included. */
  readonly entries: number;
  readonly verified: boolean;
  readonly firstBroken: { readonly index: number; readonly reason: string } | null;
  /** The Ed25519 key that signs this ledger, base64url, as its first entry names it. */
  readonly owner: string | null;
}

export interface VerifyOptions {
  /** The key that must have signed, 32 bytes; without it the first entry's own word is taken. */
  readonly publicKey?: Uint8Array;
  /** Ledgers of sites (files or folders): every entry of this one that they have seen must still be here. */
  readonly witnesses?: readonly string[];
}

/**
 * Verifies an exported file (JSON Lines) or a hub's or site's folder. Memory grows by one hash an entry.
 * Throws TributaryError `ledger.not-found` if there is no ledger at the path and `ledger.broken-witness`.
 */
export async function verifyLedger(path: string, options: VerifyOptions = {}): Promise<LedgerReport> {
  const chain = createChain();
  for await (const line of readLines(path)) {
    const reason = chain.read(line);
    if (reason !== null) return chain.report(reason);
  }
  const end = chain.finish();
  if (end !== null) return chain.report(end);
  const { publicKey } = options;
  if (publicKey !== undefined && !chain.isOwner(Buffer.from(publicKey).toString('base64url'))) {
    return chain.report('the ledger belongs to another key than the expected one', 0);
  }
  for (const witness of options.witnesses ?? []) {
    const missing = await compareWithWitness(chain, witness);
    if (missing !== null) return missing;
  }
  return chain.report(null);
}

type Line = JsonLine | BrokenLine | { readonly record: unknown };

async function* readLines(path: string): AsyncGenerator<Line> {
  if (!existsSync(path)) throw new TributaryError('ledger.not-found', `There is no file or folder ${path}.`);
  if (!statSync(path).isDirectory()) {
    yield* readJsonLines(path);
    return;
  }
  const file = DATABASES.map((name) => join(path, name)).find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new TributaryError('ledger.not-found', `${path} is the folder of neither a hub nor a site.`);
  }
  const database = new Database(file, { readonly: true });
  try {
    // One transaction, so that a running hub may go on writing.
    database.exec('BEGIN');
    for (const record of ledgerLines(database)) yield { record };
  } finally {
    database.close();
  }
}

interface Chain {
  readonly hashes: readonly string[];
  /** Takes the next line; returns what is wrong with it, or null. */
  read(line: Line): string | null;
  /** Whether a key, as text, has signed entries of it: its owner's, or one that came before or after. */
  isOwner(key: string): boolean;
  /** What is wrong with the end, or null. */
  finish(): string | null;
  report(reason: string | null, index?: number): LedgerReport;
}

const rotationShape = z.looseObject({ ed25519: keyTextShape });
const initShape = z.looseObject({ role: z.enum(['hub', 'site']), ed25519: keyTextShape });

function createChain(): Chain {
  const hashes: string[] = [];
  const evidence = createEvidence(hashes);
  let isHub = false;
  let key: Uint8Array | null = null;
  let ended = false;
  const owners = new Set<string>();

  const readEntry = (entry: LedgerEntry): string | null => {
    if (entry.index !== hashes.length) {
      return `it should be entry ${hashes.length} but is numbered ${entry.index}: entries are missing or out of order`;
    }
    if (entry.previous !== (hashes.at(-1) ?? NO_ENTRY)) return 'it does not follow from the entry before it';
    if (entry.hash !== hashOfEntry(entry)) return 'its content was altered after it was written';
    if (key === null) {
      const init = initShape.safeParse(entry.body);
      if (entry.kind !== 'init' || !init.success)
        return 'a ledger begins with the entry that names its owner';
      key = Buffer.from(init.data.ed25519, 'base64url');
      isHub = init.data.role === 'hub';
      owners.add(init.data.ed25519);
    } else if (entry.kind === 'init') return 'a ledger has only one first entry';
    const signer = key;
    if (entry.kind === 'rotation') {
      const rotation = rotationShape.safeParse(entry.body);
      if (!rotation.success) return 'it lacks the key that signs from there on';
      key = Buffer.from(rotation.data.ed25519, 'base64url');
      owners.add(rotation.data.ed25519);
    }
    if (!verify(signer, ledgerStatement(entry.hash), Buffer.from(entry.signature, 'base64url'))) {
      return "it is not signed by the ledger's owner";
    }
    return isHub ? evidence.check(entry) : null;
  };

  return {
    hashes,
    read(line) {
      if ('problem' in line) return `its line ${line.problem}`;
      if (ended) return 'entries follow after the end of the ledger';
      const head = ledgerHeadShape.safeParse(line.record);
      if (head.success) {
        ended = true;
        const { entries, hash, signature } = head.data;
        if (entries > hashes.length) return `the ledger had ${entries} entries; the tail is missing`;
        const signed =
          key !== null && verify(key, headStatement(entries, hash), Buffer.from(signature, 'base64url'));
        if (!signed || entries !== hashes.length || hash !== hashes.at(-1)) {
          return 'the end of the ledger is not the one its owner signed';
        }
        return null;
      }
      const entry = ledgerEntryShape.safeParse(line.record);
      if (!entry.success) return 'it is not an entry of a ledger';
      const reason = readEntry(entry.data);
      if (reason === null) hashes.push(entry.data.hash);
      return reason;
    },
    isOwner: (text) => owners.has(text),
    finish: () => (ended ? null : 'the end is missing: the ledger was cut off here'),
    report(reason, index = hashes.length) {
      return {
        entries: hashes.length + (reason !== null && index >= hashes.length ? 1 : 0),
        verified: reason === null,
        firstBroken: reason === null ? null : { index, reason },
        owner: [...owners].at(0) ?? null,
      };
    },
  };
}

/** A site's ledger: its join names the hub, by Ed25519 key, whose entries it countersigns from there on. */
const witnessJoinBody = z.looseObject({ hubEd25519: keyTextShape });
const witnessBody = z.looseObject({ index: z.int(), hash: hashShape });

/** Compares with what a site has countersigned, as the site's own verified ledger remembers it. */
async function compareWithWitness(chain: Chain, path: string): Promise<LedgerReport | null> {
  const { firstBroken } = await verifyLedger(path);
  if (firstBroken !== null) {
    throw new TributaryError(
      'ledger.broken-witness',
      `${path} cannot bear witness: its own entry ${firstBroken.index} is broken (${firstBroken.reason}).`,
    );
  }
  let hub: string | undefined;
  for await (const line of readLines(path)) {
    const entry = ledgerEntryShape.safeParse('record' in line ? line.record : null);
    if (!entry.success) continue;
    const join = witnessJoinBody.safeParse(entry.data.body);
    if (entry.data.kind === 'join' && join.success) hub = join.data.hubEd25519;
    if (entry.data.kind !== 'countersign' || hub === undefined || !chain.isOwner(hub)) continue;
    const seen = witnessBody.safeParse(entry.data.body);
    if (!seen.success) continue;
    const { index, hash } = seen.data;
    if (index >= chain.hashes.length) {
      return chain.report(`${path} countersigned entry ${index}: the tail of this ledger is missing`);
    }
    if (chain.hashes[index] !== hash) {
      return chain.report(`${path} countersigned another entry ${index} than this ledger holds`, index);
    }
  }
  return null;
}
