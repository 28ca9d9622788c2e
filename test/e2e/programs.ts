/** @file The built program `tributary` as processes, told what to do and heard as its `--json` lines. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const PROGRAM = join(import.meta.dirname, '../../main/cli/bin.js');

export type Line = Readonly<Record<string, unknown>> & { readonly type?: string };

/** A process that goes on until it is ended. */
export interface Program {
  readonly lines: readonly Line[];
  readonly pid: number;
  /** The first line of a type, once it is there. Rejects when the process ends without one. */
  line(type: string): Promise<Line>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it by SIGTERM, unless it has ended, and waits for its end; gives the exit status. */
  stop(): Promise<number | null>;
}

/** Starts `tributary WORDS --json`. */
export function start(...words: string[]): Program {
  const child = spawn(process.execPath, [PROGRAM, ...words, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: Line[] = [];
  let errors = '';
  let heard: (() => void)[] = [];
  const wake = (): void => heard.splice(0).forEach((listener) => listener());
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line);
    wake();
  });
  child.stderr.on('data', (text: Buffer) => (errors += text.toString('utf8')));
  let status: number | null | undefined;
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      status = code;
      wake();
      resolve(code);
    });
  });
  return {
    lines,
    pid: child.pid ?? 0,
    line: async (type) => {
      for (;;) {
        const found = lines.find((line) => line.type === type);
        if (found !== undefined) return found;
        if (status !== undefined || lines.some((line) => line.type === 'error'))
          throw new Error(`${words.join(' ')} failed with ${status}: ${errors}`);
        await new Promise<void>((resolve) => (heard = [...heard, resolve]));
      }
    },
    kill: (signal) => void child.kill(signal),
    stop: () => {
      if (status === undefined) child.kill('SIGTERM');
      return ended;
    },
  };
}

/** Process ids of a program's children whose command line has a word in it. */
export function childrenOf(parent: number, word: string): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
  return children
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word))
    .map(Number);
}

/** Runs a command that must succeed and gives its `result`. */
export async function result(...words: string[]): Promise<Line> {
  const program = start(...words);
  const line = await program.line('result');
  await program.stop();
  return line;
}
