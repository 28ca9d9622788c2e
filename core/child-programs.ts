/**
 * @file Programs of the build as children of this process: starting one, telling it things, hearing its end. Node forks
 * itself; the desktop program, whose executable is no Node, puts Electron's way in its place. `parent-program.ts` is
 * the child's side.
 */

import { fork } from 'node:child_process';
import { programPath } from './programs.ts';

export interface ChildProgram {
  readonly pid: number | undefined;
  /** Sends a structured clone; does nothing once the child has ended or was left. */
  send(message: unknown): void;
  /** The child ends itself once it hears that nobody needs it. */
  leave(): void;
}

export interface ChildOptions {
  readonly words?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** Flags of Node and V8. */
  readonly flags?: readonly string[];
  /** What it prints is for nobody to read; otherwise it goes where this process prints. */
  readonly silent?: boolean;
  readonly onMessage: (message: unknown) => void;
  /** Told once, after the last message: `status 0`, `signal SIGKILL`, or why it could not be started. */
  readonly onEnd: (how: string) => void;
}

/** @param path of the built program */
export type StartChild = (path: string, options: ChildOptions) => ChildProgram;

const forkNode: StartChild = (path, options) => {
  const { words = [], environment, flags = [], silent = false, onMessage, onEnd } = options;
  const output = silent ? 'ignore' : 'inherit';
  const child = fork(path, words, {
    serialization: 'advanced',
    stdio: [silent ? 'ignore' : 'inherit', output, output, 'ipc'],
    execArgv: [...process.execArgv, ...flags],
    ...(environment !== undefined && { env: environment }),
  });
  let how: string | null = null;
  let isTold = false;
  // Messages may lie in the channel still when the process has ended.
  const tell = (): void => {
    if (how === null || child.connected || isTold) return;
    isTold = true;
    onEnd(how);
  };
  child.on('message', onMessage);
  child.on('error', ({ message }) => {
    how ??= message;
    tell();
  });
  child.on('exit', (code, signal) => {
    how ??= signal ? `signal ${signal}` : `status ${code ?? 'unknown'}`;
    tell();
  });
  child.on('disconnect', tell);
  return {
    pid: child.pid,
    send: (message) => {
      if (child.connected) child.send(message as object);
    },
    leave: () => {
      if (child.connected) child.disconnect();
    },
  };
};

let present = forkNode;

/** Starts a program of the build, such as `training-process`. @throws TributaryError `internal.not-built` */
export function startChild(name: string, options: ChildOptions): ChildProgram {
  return present(programPath(name), options);
}

/** Puts another way of starting programs in Node's place, for everything in this process; returns how to undo it. */
export function replaceStartChild(other: StartChild): () => void {
  present = other;
  return () => {
    present = forkNode;
  };
}
