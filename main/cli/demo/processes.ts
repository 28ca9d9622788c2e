/** @file The demonstration's processes: each a `tributary … --json` of its own, as a person would start it. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

import { z } from 'zod';
import { isErrorCode, toTributaryError, TributaryError } from '../../../core/errors.ts';

/** A line that a command printed with --json. */
export type Line = Readonly<Record<string, unknown>> & { readonly type: string };

const lineSchema = z.looseObject({ type: z.string() });
const errorSchema = z.looseObject({ code: z.string(), message: z.string(), hint: z.string() });

/** The script that this process runs, which is the command line itself. */
function launcher(): string {
  return process.argv[1] ?? join(import.meta.dirname, 'tributary.js');
}

function start(words: readonly string[], onLine: (line: Line) => void): ChildProcess {
  const child = spawn(process.execPath, [launcher(), ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  createInterface({ input: child.stdout }).on('line', (text) => onLine(lineSchema.parse(JSON.parse(text))));
  return child;
}

/** What a command is called; its other words may be secret, such as an invitation. */
function name(words: readonly string[]): string {
  return `tributary ${words.slice(0, 2).join(' ')}`;
}

function errorOf(line: Line, words: readonly string[]): TributaryError {
  const { code, message, hint } = errorSchema.parse(line);
  return new TributaryError(isErrorCode(code) ? code : 'internal.unexpected', `${name(words)}: ${message}`, {
    hint,
  });
}

/**
 * Runs a command to its end and returns the result it prints.
 * @throws TributaryError what the command says went wrong
 */
export function command(...words: readonly string[]): Promise<Line> {
  return new Promise((resolve, reject) => {
    let last: Line | null = null;
    const child = start(words, (line) => (last = line));
    child.once('error', reject);
    child.once('close', (status) => {
      if (last?.type === 'result') resolve(last);
      else if (last?.type === 'error') reject(errorOf(last, words));
      else reject(new TributaryError('demo.process-ended', `${name(words)} ended with ${status}.`));
    });
  });
}

/** A process that goes on until it is stopped. */
export interface Daemon {
  /** Ends it by SIGTERM and waits for its end. */
  stop(): Promise<void>;
}

/** A process that keeps dying is given up after so many new starts. */
const RESTARTS = 5;

/**
 * Starts a process that goes on, and starts it again when it dies without having been stopped.
 * @param onEnd told why it has ended for good
 */
export function daemon(
  words: readonly string[],
  on: {
    started(pid: number | undefined): void;
    line(line: Line): void;
    died(how: string): void;
    ended(error: TributaryError): void;
  },
): Daemon {
  let stopping = false;
  let restarts = 0;
  let child = launch();

  function launch(): ChildProcess {
    let failure: TributaryError | null = null;
    const started = start(words, (line) => {
      if (line.type === 'error') failure = errorOf(line, words);
      else on.line(line);
    });
    on.started(started.pid);
    started.once('error', (error) => on.ended(toTributaryError(error)));
    started.once('close', (status, signal) => {
      if (stopping) return;
      const how = signal ?? `status ${status}`;
      if (failure !== null || restarts === RESTARTS) {
        on.ended(failure ?? new TributaryError('demo.process-ended', `${name(words)} has ended (${how}).`));
        return;
      }
      restarts++;
      on.died(how);
      child = launch();
    });
    return started;
  }

  return {
    stop: async () => {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await closed;
    },
  };
}
