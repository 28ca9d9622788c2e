/** @file What a window may ask on the desktop alone: dialogs of the system, its file manager, the link that was opened. */

import { realpath } from 'node:fs/promises';
import { isAbsolute, sep } from 'node:path';
import type { BrowserWindow, OpenDialogOptions, SaveDialogOptions } from 'electron';
import type { Handlers } from '../../core/bridge/dispatch.ts';
import { TributaryError } from '../../core/errors.ts';
import type { Electron } from './electron.ts';

export interface SurfaceOptions {
  /** The site's folder, the only one of which something is shown in the file manager. */
  readonly folder: string;
  readonly window: () => BrowserWindow | null;
  /** The invitation of a link, once. */
  readonly takeInvitation: () => string | null;
}

export function surfaceAnswers(
  { dialog, shell }: Pick<Electron, 'dialog' | 'shell'>,
  { folder, window, takeInvitation }: SurfaceOptions,
): Handlers {
  async function choose(kind: 'open' | 'folder', options: OpenDialogOptions): Promise<string | null> {
    const properties: OpenDialogOptions['properties'] =
      kind === 'open' ? ['openFile'] : ['openDirectory', 'createDirectory'];
    const parent = window();
    const asked = { ...options, properties };
    const { filePaths } = await (parent
      ? dialog.showOpenDialog(parent, asked)
      : dialog.showOpenDialog(asked));
    return filePaths.at(0) ?? null;
  }

  async function name(options: SaveDialogOptions): Promise<string | null> {
    const parent = window();
    const { filePath } = await (parent
      ? dialog.showSaveDialog(parent, options)
      : dialog.showSaveDialog(options));
    return filePath || null;
  }

  return {
    'app.link': () => ({ invitation: takeInvitation() }),
    'files.choose': async ({ kind, title, endings, suggested }) => {
      const extensions = endings.filter((ending) => /^\w+$/.test(ending));
      const filters = extensions.length > 0 ? [{ name: extensions.join(', '), extensions }] : [];
      const options = { title, filters, ...(suggested !== '' && { defaultPath: suggested }) };
      // A folder with a name proposed is one that is made: an open dialog would only show those that are there.
      const isNew = kind === 'save' || (kind === 'folder' && suggested !== '');
      return { path: await (isNew ? name(options) : choose(kind === 'open' ? 'open' : 'folder', options)) };
    },
    'files.reveal': async ({ path }) => {
      const real = isAbsolute(path) ? await realpath(path).catch(() => null) : null;
      const root = await realpath(folder);
      if (real === null || !real.startsWith(root + sep)) {
        throw new TributaryError('file.not-allowed', `${path} is no file of this site.`);
      }
      shell.showItemInFolder(real);
      return {};
    },
  };
}
