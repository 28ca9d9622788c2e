/** @file Downloads one file over HTTP, resuming where an earlier attempt stopped. */

import { open, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

export interface HttpFile {
  readonly url: string;
  /**
   * Exact size in bytes; an answer of another size is not the file. Null: as the server says, and what was received
   * is gone on from only while the server says that it still has the same file (If-Range, RFC 9110, section 13.1.5).
   */
  readonly bytes: number | null;
  /** Where the partial file lies; kept on failure, so that the next attempt goes on from it. */
  readonly partial: string;
}

/** Of the web's `fetch` what a download needs. */
export type Fetch = (
  url: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<Answer>;

/** How the web is reached from this machine. */
export interface WebAccess {
  readonly fetch: Fetch;
  /** Variables of the environment by which other programs go the same way. Throws `proxy.unsupported`. */
  readonly variables: () => Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
}

export interface HttpOptions {
  readonly fetch: Fetch;
  readonly onBytes: (received: number) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for an answer; a server that is not there must not hold up the next source. */
  readonly answerTimeout: number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly stallTimeout: number;
  /** Milliseconds before each retry; their number is the number of retries. */
  readonly backOff: readonly number[];
}

/** An answer that trying again will not change. */
class Refusal extends Error {}

/**
 * Ends with the whole file at `partial`. A broken connection is retried with back-off; a server that never answered
 * is not, since the next source may be there.
 * @throws Error saying in words why the source failed; system errors (a full disk) pass through
 */
export async function downloadHttp(file: HttpFile, options: HttpOptions): Promise<void> {
  let answered = false;
  const seen: Seen = { bytes: file.bytes, validator: null };
  for (let attempt = 0; ; attempt++) {
    try {
      await receive({ ...file, seen }, options, () => (answered = true));
      return;
    } catch (error) {
      const isFinal = error instanceof Refusal || isSystemError(error) || options.signal?.aborted === true;
      if (isFinal || !answered || attempt === options.backOff.length) throw error;
      await pause(options.backOff[attempt], undefined, { signal: options.signal });
    }
  }
}

/** Errors of the disk carry `syscall` and come from no socket. */
function isSystemError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['ENOSPC', 'EACCES', 'EROFS', 'EDQUOT'].includes(String(error.code))
  );
}

/** What is known of a file from the answers so far. */
interface Seen {
  bytes: number | null;
  /** Strong ETag of a file whose size and hash are not known beforehand. */
  validator: string | null;
}

async function receive(
  file: HttpFile & { seen: Seen },
  options: HttpOptions,
  onAnswer: () => void,
): Promise<void> {
  const { seen } = file;
  const start = await sizeOf(file.partial);
  if (start === seen.bytes) return;
  const isUnusable = start > (seen.bytes ?? 0) || (file.bytes === null && seen.validator === null);
  if (isUnusable) await rm(file.partial, { force: true });
  const from = isUnusable ? 0 : start;
  const watchdog = createWatchdog(options);
  try {
    watchdog.expect(options.answerTimeout, 'no answer');
    const response = await options.fetch(file.url, {
      headers: {
        'accept-encoding': 'identity',
        ...(from > 0 && { range: `bytes=${from}-` }),
        ...(from > 0 && seen.validator !== null && { 'if-range': seen.validator }),
      },
      signal: watchdog.signal,
    });
    onAnswer();
    if (file.bytes === null && response.status === 200) describe(response, seen);
    const bytes = seen.bytes ?? 0;
    const offset = acceptedOffset(response, { from, bytes });
    if (offset === null) {
      await rm(file.partial, { force: true });
      throw new Error('it could not resume');
    }
    if (response.body === null) throw new Error('an empty answer');
    const handle = await open(file.partial, offset === 0 ? 'w' : 'r+');
    try {
      let position = offset;
      for await (const chunk of response.body) {
        watchdog.expect(options.stallTimeout, 'the connection stalled');
        if (position + chunk.length > bytes) throw new Refusal('it sent more than the file holds');
        await writeAll(handle, chunk, position);
        position += chunk.length;
        options.onBytes(position);
      }
      if (position < bytes) throw new Error(`the connection ended after ${position} of ${bytes} bytes`);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw watchdog.reason() ?? withCause(error);
  } finally {
    watchdog.stop();
  }
}

/** Takes size and validator of a whole file from the answer; a weak validator does not vouch for bytes. */
function describe({ headers }: Answer, seen: Seen): void {
  const length = headers.get('content-length');
  const validator = headers.get('etag');
  if (length === null) throw new Refusal('it does not say how large its file is');
  seen.bytes = Number(length);
  seen.validator = validator === null || validator.startsWith('W/') ? null : validator;
}

/** The position at which the answer goes on, or null where the server cannot continue from ours. */
function acceptedOffset(response: Answer, wanted: { from: number; bytes: number }): number | null {
  const { status } = response;
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    if (range !== null && range[2] !== '*' && Number(range[2]) !== wanted.bytes)
      throw anotherSize(Number(range[2]));
    return range !== null && Number(range[1]) === wanted.from ? wanted.from : null;
  }
  if (status === 416) return null;
  if (status === 408 || status === 429 || status >= 500) throw new Error(`it answered ${status}`);
  if (status !== 200) throw new Refusal(`it answered ${status}`);
  const length = Number(response.headers.get('content-length') ?? wanted.bytes);
  if (length !== wanted.bytes) throw anotherSize(length);
  return 0;
}

function anotherSize(bytes: number): Refusal {
  return new Refusal(`its file has another size (${bytes} bytes)`);
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written, position + written);
    written += bytesWritten;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

/** Aborts when nothing happens for as long as was last told, or with the caller. */
function createWatchdog(options: HttpOptions) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let reason: Error | null = null;
  const abort = (why: Error): void => {
    reason = why;
    controller.abort(why);
  };
  const onAbort = (): void => abort(new Error('it was cancelled'));
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted === true) onAbort();
  return {
    signal: controller.signal,
    reason: () => reason,
    expect: (milliseconds: number, why: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => abort(new Error(`${why} within ${milliseconds / 1000} s`)), milliseconds);
    },
    stop: () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** `fetch` hides why it failed in `cause`. */
function withCause(error: unknown): unknown {
  if (error instanceof TypeError && error.cause instanceof Error) {
    return new Error(`the connection failed: ${error.cause.message}`, { cause: error });
  }
  return error;
}
