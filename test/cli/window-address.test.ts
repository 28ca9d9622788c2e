/** @file How a window's address is handed to the browser. */

import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import { createWindowAddress, redirectTo } from '../../main/cli/window-address.ts';
import { removeFolder } from '../helpers/folders.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-window-address-'))));
afterEach(() => removeFolder(folder));

it('by a page that this account alone may read, and not by the words of a command', async () => {
  const url = 'http://127.0.0.1:4711/#token=a-secret';
  const page = await redirectTo(url, folder);
  expect(page).not.toContain('a-secret');
  expect(readFileSync(page, 'utf8')).toContain(`url=${url}`);
  if (process.platform !== 'win32') expect(statSync(page).mode & 0o777).toBe(0o600);
});

it('is served only once somebody asks for it, and each time under another token', async () => {
  let asked = 0;
  const window = createWindowAddress({
    dispatcher: () => {
      asked += 1;
      return createDispatcher(() => ({}));
    },
    pages: () => folder,
  });
  expect(asked).toBe(0);
  const addresses = [await window.address(), await window.address()];
  expect(asked).toBe(1);
  expect(new Set(addresses.map((address) => new URL(address).origin)).size).toBe(1);
  expect(new Set(addresses).size).toBe(2);
  await window.close();
});
