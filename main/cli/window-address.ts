/** @file The window of a folder: served from when somebody first asks for it, found where a process serves it already. */

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { z } from 'zod';
import { serveWindow } from '../../core/bridge/server.ts';
import type { WindowServer } from '../../core/bridge/server.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { askControl } from '../../core/control.ts';
import { TributaryError } from '../../core/errors.ts';
import { writeFileAtomically } from '../../core/files.ts';
import type { CommandContext } from './command.ts';

export interface WindowAddress {
  /** A new address with a one-time token. */
  readonly address: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** @param dispatcher asked for when the first window is */
export function createWindowAddress(options: {
  readonly dispatcher: () => Dispatcher;
  readonly pages: () => string;
  readonly port?: number;
}): WindowAddress {
  let serving: Promise<WindowServer> | null = null;
  return {
    address: async () => {
      const { dispatcher, pages, port } = options;
      serving ??= serveWindow({ dispatcher: dispatcher(), pages: pages(), port });
      try {
        return (await serving).address();
      } catch (thrown) {
        // Whoever asks next tries anew, and there is nothing to be closed.
        serving = null;
        throw thrown;
      }
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

/** Says where the window of a folder is, and opens it where that was asked for. */
export async function showWindow(
  url: string,
  { folder, open }: { readonly folder: string; readonly open: boolean },
  { output }: Pick<CommandContext, 'output'>,
): Promise<void> {
  output.event('listening', { url });
  output.line('The window of this folder, for this machine alone and once:');
  output.line(`  ${url}`);
  if (!open) return;
  output.line('If the browser does not show it, paste the address there.');
  startBrowser(await redirectTo(url, folder));
}

/**
 * Writes a page that leads to an address, which only this account may read, and gives its path: the words of a command
 * are seen by everybody on the machine, and the address lets in whoever is first. A browser that is shut off from hidden
 * folders cannot read it; the address that was printed works there.
 */
export async function redirectTo(url: string, folder: string): Promise<string> {
  const path = resolve(folder, 'window.html');
  const page = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url=${url}"><title>Tributary</title><a href="${url}">Tributary</a>
`;
  await writeFileAtomically(path, page, 0o600);
  return path;
}

function startBrowser(page: string): void {
  const [program, ...words] =
    process.platform === 'darwin'
      ? ['open', page]
      : process.platform === 'win32'
        ? ['explorer', page]
        : ['xdg-open', page];
  // A machine without a browser has said the address all the same.
  spawn(program, words, { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
