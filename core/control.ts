/**
 * @file One process per folder, and a way for other commands to talk to it: a lock that the system releases
 * when the process dies, and a local control socket that answers one line of JSON with one line of JSON.
 */

import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { isErrorCode, toTributaryError, TributaryError } from './errors.ts';

/** A request or a reply is never longer. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** Socket addresses hold about 104 bytes on macOS and 108 on Linux. */
const MAX_ADDRESS_BYTES = 100;

export interface FolderLock {
  release(): void;
}

/**
 * Takes the folder for this process, or throws `folder.locked`. The lock is SQLite's own file lock, so it ends
 * with the process however that ends, and no stale file ever has to be removed by hand.
 */
export function acquireFolderLock(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const note = join(folder, 'lock.pid');
  const path = join(folder, 'lock.sqlite');
  closeSync(openSync(path, 'a', 0o600));
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    throw new TributaryError('folder.locked', `Another process${holder(note)} is using ${folder}.`);
  }
  writeFileSync(note, `${process.pid}\n`, { mode: 0o600 });
  return {
    release: () => {
      if (!database.open) return;
      rmSync(note, { force: true });
      database.close();
    },
  };
}

function holder(note: string): string {
  try {
    return ` (${readFileSync(note, 'utf8').trim()})`;
  } catch {
    return '';
  }
}

/** Answers of a running process by command; each checks its own request. What it throws reaches the asker. */
export type ControlHandlers = Readonly<Record<string, (request: unknown) => unknown>>;

export interface ControlServer {
  close(): Promise<void>;
}

const requestShape = z.looseObject({ command: z.string().max(64) });
const replyShape = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string(), hint: z.string() }),
]);

/** Serves the folder's control socket (mode 0600) until closed. The caller holds the folder's lock. */
export async function serveControl(folder: string, handlers: ControlHandlers): Promise<ControlServer> {
  const address = addressOf(folder);
  if (process.platform !== 'win32') rmSync(address, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    readLine(socket, (line) => {
      void answer(line, handlers).then((reply) => socket.end(`${reply}\n`));
    });
  });
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
      process.umask(mask); // the socket exists once listen returns
    });
  } finally {
    process.umask(mask);
  }
  if (process.platform !== 'win32') chmodSync(address, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroySoon();
      }),
  };
}

async function answer(line: string, handlers: ControlHandlers): Promise<string> {
  try {
    const request = requestShape.parse(JSON.parse(line));
    if (!Object.hasOwn(handlers, request.command)) {
      throw new TributaryError('usage.invalid', `The running process knows no command ${request.command}.`);
    }
    const result = (await handlers[request.command](request)) ?? null;
    return JSON.stringify({ ok: true, result });
  } catch (thrown) {
    const { code, message, hint } = toTributaryError(thrown);
    return JSON.stringify({ ok: false, code, message, hint });
  }
}

/**
 * Asks the process that runs in a folder. Throws `folder.not-running` when there is none, and whatever error
 * the process answered with.
 */
export async function askControl(
  folder: string,
  request: { readonly command: string; readonly [field: string]: unknown },
  timeoutSeconds = 30,
): Promise<unknown> {
  const notRunning = (cause?: unknown): TributaryError =>
    new TributaryError('folder.not-running', `No running process answers for ${folder}.`, { cause });
  const line = await new Promise<string>((resolve, reject) => {
    const socket = connect(addressOf(folder));
    socket.setTimeout(timeoutSeconds * 1000, () => socket.destroy(new Error('no answer in time')));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('error', (error) => reject(notRunning(error)));
    socket.on('close', () => reject(notRunning()));
    readLine(socket, (text) => {
      resolve(text);
      socket.destroy();
    });
  });
  const reply = replyShape.parse(JSON.parse(line));
  if (reply.ok) return reply.result;
  const known = isErrorCode(reply.code) ? reply.code : 'internal.unexpected';
  throw new TributaryError(known, reply.message, { hint: reply.hint });
}

function readLine(socket: Socket, whenComplete: (line: string) => void): void {
  const parts: Buffer[] = [];
  let size = 0;
  let complete = false;
  socket.on('data', (part: Buffer) => {
    if (complete) return;
    parts.push(part);
    size += part.length;
    if (part.includes(10)) {
      complete = true;
      whenComplete(Buffer.concat(parts).toString('utf8').split('\n', 1)[0]);
    } else if (size > MAX_LINE_BYTES) socket.destroy(new Error('the line is too long'));
  });
}

function addressOf(folder: string): string {
  let real = folder;
  try {
    real = realpathSync(folder);
  } catch {
    // A folder that does not exist has no process either; connecting says so.
  }
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32);
  if (process.platform === 'win32') return `\\\\.\\pipe\\tributary-${name}`;
  const inside = join(real, 'control.sock');
  if (Buffer.byteLength(inside) <= MAX_ADDRESS_BYTES) return inside;
  const shared = join(tmpdir(), `tributary-${userInfo().uid}`);
  mkdirSync(shared, { recursive: true, mode: 0o700 });
  return join(shared, `${name}.sock`);
}
