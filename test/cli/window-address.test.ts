/** @file How a window's address is handed to the browser. */

import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import { createWindowAddress, redirectTo, showWindow } from '../../main/cli/window-address.ts';
import { openOutput } from '../../main/cli/output.ts';
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

it.skipIf(process.platform === 'win32')('starts the browser with that page alone', async () => {
  const url = 'http://127.0.0.1:4711/#token=a-secret';
  const silent = { write: () => undefined };
  const told = join(folder, 'words');
  const browser = join(folder, process.platform === 'darwin' ? 'open' : 'xdg-open');
  writeFileSync(browser, `#!/bin/sh\necho "$@" > "${told}.part" && mv "${told}.part" "${told}"\n`, {
    mode: 0o700,
  });
  vi.stubEnv('PATH', folder + delimiter + process.env.PATH);
  try {
    await showWindow(
      url,
      { folder, open: true },
      { output: openOutput(false, { out: silent, error: silent }) },
    );
    await vi.waitUntil(() => existsSync(told), { timeout: 20_000 });
  } finally {
    vi.unstubAllEnvs();
  }
  expect(readFileSync(told, 'utf8').trim()).toBe(join(folder, 'window.html'));
});

it('says that a port is taken, closes all the same, and is served once the port is free', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const window = createWindowAddress({
    dispatcher: () => createDispatcher(() => ({})),
    ...{ pages: () => folder, port },
  });
  await expect(window.address()).rejects.toMatchObject({ code: 'bridge.address-in-use' });
  await expect(window.close()).resolves.toBeUndefined();
  await new Promise((resolve) => other.close(resolve));
  expect(new URL(await window.address()).port).toBe(String(port));
  await window.close();
});
