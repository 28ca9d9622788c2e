/**
 * @file A copy of a hub while it runs, and a hub from such a copy: the database by SQLite's backup, the blobs that it
 * needs, the keys, and a list of them with their hashes. Partial transfers are left out; sites send them again.
 */

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { acquireFolderLock } from '../control.ts';
import { TributaryError } from '../errors.ts';
import { FORMER_KEYS } from '../federation/rotation.ts';
import { hashShape } from '../federation/shapes.ts';
import { syncFolder, writeFileAtomically } from '../files.ts';
import type { HubContext } from './context.ts';
import { neededBlobs } from './retention.ts';
import { METRICS_TOKEN_FILE, WEBHOOK_SECRET_FILE } from './secret-file.ts';
import { DATABASE_FILE } from './store.ts';

const LIST = 'backup.json';
const BLOBS = 'blobs';
/** Secrets: of the hub's identity, and of those who may read its figures or check its events. */
const KEYS = ['ed25519.pem', 'x25519.pem', ...FORMER_KEYS, METRICS_TOKEN_FILE, WEBHOOK_SECRET_FILE];

const listShape = z.strictObject({
  version: z.literal(1),
  federation: z.string(),
  /** Unix seconds. */
  created: z.int(),
  /** Paths within the backup with the hash of each file. */
  files: z.record(z.string().regex(/^(?:[A-Za-z0-9.]+|blobs\/[0-9a-f]{64})$/), hashShape),
});

export interface BackupResult {
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Writes a backup into a folder that does not exist yet. The hub goes on meanwhile; the copy is of one moment.
 * Throws `backup.exists`, `disk.full`.
 */
export async function backupHub(hub: HubContext, folder: string): Promise<BackupResult> {
  if (existsSync(folder)) throw new TributaryError('backup.exists', `${folder} is there already.`);
  const partial = join(dirname(folder), `.${basename(folder)}.${process.pid}.partial`);
  await mkdir(join(partial, BLOBS), { recursive: true, mode: 0o700 });
  try {
    const blobs = await hub.inTurn(() => freeze(hub, partial));
    for (const hash of blobs) {
      // What was pinned by a second name becomes a copy of its own, which no damage of the original reaches.
      const place = join(partial, BLOBS, hash);
      await copyFile(place, `${place}.copy`);
      await rename(`${place}.copy`, place);
    }
    const keys = KEYS.filter((name) => existsSync(join(hub.folder, name)));
    for (const name of keys) {
      await copyFile(join(hub.folder, name), join(partial, name));
      await chmod(join(partial, name), 0o600);
    }
    const names = [DATABASE_FILE, ...keys, ...blobs.map((hash) => `${BLOBS}/${hash}`)];
    const files: Record<string, string> = {};
    let bytes = 0;
    for (const name of names) {
      files[name] = await hashOf(join(partial, name));
      bytes += (await stat(join(partial, name))).size;
    }
    const federation = hub.store.setting('federation') ?? '';
    const list = { version: 1, federation, created: hub.now(), files };
    await writeFileAtomically(join(partial, LIST), JSON.stringify(list, null, 2));
    await rename(partial, folder);
    await syncFolder(dirname(folder));
    hub.log.info({ folder, files: names.length, bytes }, 'backed up');
    return { folder, files: names.length, bytes };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** While nothing else changes: the database, and a second name for every blob that it needs. Returns their hashes. */
async function freeze(hub: HubContext, partial: string): Promise<string[]> {
  const database = join(partial, DATABASE_FILE);
  await hub.store.database.backup(database);
  await chmod(database, 0o600);
  const needed = [...neededBlobs(hub)].filter((hash) => hub.blobs.has(hash));
  for (const hash of needed) {
    const place = join(partial, BLOBS, hash);
    // Another disk has no second names.
    await link(hub.blobs.path(hash), place).catch(() => copyFile(hub.blobs.path(hash), place));
  }
  return needed;
}

/**
 * Makes a hub of a backup in a folder that holds none, after checking every file against the list.
 * Throws `backup.damaged`, `backup.not-there`, `hub.exists`, `disk.full`.
 */
export async function restoreHub(backup: string, folder: string): Promise<BackupResult> {
  const list = await readList(backup);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = acquireFolderLock(folder);
  try {
    const present = readdirSync(folder).filter((name) => !name.startsWith('lock.'));
    if (present.length > 0) throw new TributaryError('hub.exists', `${folder} is not empty.`);
    await mkdir(join(folder, BLOBS), { mode: 0o700 });
    let bytes = 0;
    const names = Object.keys(list.files);
    // The database comes last: without it there is no hub.
    const inOrder = [...names.filter((name) => name !== DATABASE_FILE), DATABASE_FILE];
    for (const name of inOrder) {
      const place = join(folder, name);
      await copyFile(join(backup, name), `${place}.tmp`).catch((cause: unknown) => {
        throw new TributaryError('backup.damaged', `${name} is missing in ${backup}.`, { cause });
      });
      await chmod(`${place}.tmp`, 0o600);
      if ((await hashOf(`${place}.tmp`)) !== list.files[name]) {
        await rm(`${place}.tmp`);
        throw new TributaryError('backup.damaged', `${name} in ${backup} is not what was backed up.`);
      }
      if (name === DATABASE_FILE) checkDatabase(`${place}.tmp`);
      await rename(`${place}.tmp`, place);
      bytes += (await stat(place)).size;
    }
    await syncFolder(folder);
    return { folder, files: names.length, bytes };
  } finally {
    lock.release();
  }
}

async function readList(backup: string): Promise<z.infer<typeof listShape>> {
  let text: string;
  try {
    text = await readFile(join(backup, LIST), 'utf8');
  } catch (cause) {
    throw new TributaryError('backup.not-there', `There is no backup of a hub in ${backup}.`, { cause });
  }
  try {
    const list = listShape.parse(JSON.parse(text));
    if (list.files[DATABASE_FILE] !== undefined) return list;
  } catch (cause) {
    throw new TributaryError('backup.damaged', `The list of ${backup} cannot be read.`, { cause });
  }
  throw new TributaryError('backup.damaged', `The list of ${backup} names no database.`);
}

function checkDatabase(path: string): void {
  const database = new Database(path, { readonly: true });
  try {
    const verdict = database.pragma('integrity_check', { simple: true });
    if (verdict !== 'ok')
      throw new TributaryError('backup.damaged', `The database says: ${String(verdict)}.`);
  } finally {
    database.close();
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
