/** @file Folders and files of this machine for windows in a browser, which hands no paths to a page. */

import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, extname, join, parse, resolve, sep } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import type { Output } from './contract.ts';
import type { Handlers } from './dispatch.ts';

/** Entries that a window is shown of a folder at most. */
const SHOWN = 1000;

/** Where disks are mounted. */
const MOUNTS = ['/media', '/mnt', '/Volumes'];

type Entry = Output<'files.list'>['entries'][number];

export function fileHandlers(): Handlers {
  return {
    'files.list': async ({ folder, endings }) => {
      const shown = resolve(folder ?? homedir());
      const wanted = new Set(endings.map((ending) => `.${ending.toLowerCase()}`));
      const all = await entriesOf(shown);
      const entries = all.filter(
        ({ kind, name }) => kind === 'folder' || wanted.size === 0 || wanted.has(extname(name).toLowerCase()),
      );
      const parent = dirname(shown);
      return {
        folder: shown,
        parent: parent === shown ? null : parent,
        separator: sep,
        places: places(),
        entries: entries.slice(0, SHOWN),
        more: Math.max(0, entries.length - SHOWN),
      };
    },
  };
}

/** Folders first, each kind by name; what is hidden or cannot be looked at is left out. */
async function entriesOf(folder: string): Promise<Entry[]> {
  const found = await readdir(folder, { withFileTypes: true }).catch((thrown: unknown) => {
    throw notListed(folder, thrown);
  });
  const visible = found.filter(({ name }) => !name.startsWith('.'));
  const entries = await Promise.all(
    visible.map(async ({ name }): Promise<Entry[]> => {
      const path = join(folder, name);
      const state = await stat(path).catch(() => null);
      if (state === null || !(state.isDirectory() || state.isFile())) return [];
      const kind = state.isDirectory() ? 'folder' : 'file';
      return [{ name, path, kind, bytes: state.size, modified: Math.floor(state.mtimeMs / 1000) }];
    }),
  );
  const rank = ({ kind }: Entry): number => (kind === 'folder' ? 0 : 1);
  return entries
    .flat()
    .sort(
      (one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name, 'en', { numeric: true }),
    );
}

function notListed(folder: string, thrown: unknown): TributaryError {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : '';
  const cause = { cause: thrown };
  if (code === 'ENOENT') return new TributaryError('file.not-found', `There is no folder ${folder}.`, cause);
  if (code === 'ENOTDIR') return new TributaryError('file.wrong-kind', `${folder} is no folder.`, cause);
  if (code === 'EACCES' || code === 'EPERM')
    return new TributaryError('file.not-allowed', `${folder} may not be looked into.`, cause);
  return toTributaryError(thrown);
}

function places(): { name: string; path: string }[] {
  const home = homedir();
  const known = [home, ...['Desktop', 'Documents', 'Downloads'].map((name) => join(home, name)), ...MOUNTS];
  const root = parse(home).root;
  return [...known, root]
    .filter((path) => existsSync(path))
    .map((path) => ({ name: path === root ? root : (path.split(sep).at(-1) ?? path), path }));
}
