/** @file The built window as files: what an address names, and nothing outside its folder. */

import { readFile, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

export interface Page {
  readonly content: Buffer;
  readonly type: string;
}

/**
 * The file of a path such as `/assets/index.js`, as a URL names it; `/` is `index.html`. Null for what is not there,
 * is no page's file, or lies elsewhere, also by a link.
 */
export async function findPage(folder: string, urlPath: string): Promise<Page | null> {
  let path: string;
  try {
    path = decodeURIComponent(urlPath);
  } catch {
    return null;
  }
  if (!/^\/[\w\-./@]*$/.test(path) || path.split('/').some((part) => part.startsWith('.'))) return null;
  const type = TYPES[extname(path === '/' ? '/index.html' : path)];
  if (type === undefined) return null;
  try {
    const root = await realpath(folder);
    const file = await realpath(join(root, path === '/' ? 'index.html' : path));
    if (!file.startsWith(root + sep) || !(await stat(file)).isFile()) return null;
    return { content: await readFile(file), type };
  } catch {
    return null;
  }
}
