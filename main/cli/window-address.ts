/** @file The window of a folder: served from when somebody first asks for it, found where a process serves it already. */

import { spawn } from 'node:child_process';
import { z } from 'zod';
import { serveWindow } from '../../core/bridge/server.ts';
import type { WindowServer } from '../../core/bridge/server.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { askControl } from '../../core/control.ts';
import { TributaryError } from '../../core/errors.ts';
import type { CommandContext } from './command.ts';

export interface WindowAddress {
  /** A new address with a one-time token. */
  readonly address: () => Promise<string>;
  readonly close: () => Promise<void>;
}

export function createWindowAddress(options: {
  readonly dispatcher: Dispatcher;
  readonly pages: () => string;
  readonly port?: number;
}): WindowAddress {
  let serving: Promise<WindowServer> | null = null;
  return {
    address: async () => {
      const { dispatcher, pages, port } = options;
      serving ??= serveWindow({ dispatcher, pages: pages(), port });
      return (await serving).address();
    },
    close: async () => (await serving)?.close(),
  };
}

const answerShape = z.object({ url: z.string() });

/** The address that the process of a folder gives, or null where none runs there. */
export async function askForWindow(folder: string): Promise<string | null> {
  try {
    return answerShape.parse(await askControl(folder, { command: 'window' })).url;
  } catch (thrown) {
    if (thrown instanceof TributaryError && thrown.code === 'folder.not-running') return null;
    throw thrown;
  }
}

/** Says where the window is, and opens it where that was asked for. */
export function showWindow(url: string, open: boolean, { output }: Pick<CommandContext, 'output'>): void {
  output.event('listening', { url });
  output.line('The window of this folder, for this machine alone and once:');
  output.line(`  ${url}`);
  if (open) openBrowser(url);
}

function openBrowser(url: string): void {
  const [program, ...words] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '""', url]
        : ['xdg-open', url];
  // A machine without a browser has said the address all the same.
  spawn(program, words, { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
