/** @file What a person chose for the windows of a folder: one small file, and what the machine's owner has fixed. */

import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import { settingsShape } from './contract/application.ts';
import type { Settings } from './contract/application.ts';

/** Name of the file in a site's or a hub's folder. */
export const SETTINGS_FILE = 'settings.json';

const DEFAULTS: Settings = {
  locale: null,
  theme: null,
  device: 'auto',
  threads: null,
  memoryLimit: null,
  modelPath: null,
  keepAwake: true,
  notify: true,
  startAtLogin: false,
  proxy: 'environment',
  proxyAddress: null,
  proxyScript: null,
  proxyUser: null,
  certificates: null,
  updates: false,
  updateFeed: null,
};

export interface SettingsFile {
  get(): Settings;
  /** Names of the fields that the machine's owner has set. */
  readonly fixed: readonly string[];
  /** Changes the named fields; on disk when it resolves. @throws TributaryError `settings.fixed` */
  set(changes: Partial<Settings>): Promise<Settings>;
  /** The password of the proxy: of the variable TRIBUTARY_PROXY_PASSWORD, or of a file that this account alone may read. */
  proxyPassword(): string | null;
  setProxyPassword(password: string | null): Promise<void>;
}

/** Name of the file in a site's folder that holds the password of the proxy. */
export const PROXY_PASSWORD_FILE = 'proxy.password';

/**
 * @param folder of the site or the hub; it is made when something is first chosen
 * @param machineFile where the machine's owner has put fields that are fixed for all
 * @throws TributaryError `settings.damaged`
 */
export function openSettings(folder: string, machineFile?: string): SettingsFile {
  const path = join(folder, SETTINGS_FILE);
  const fixed = machineFile === undefined ? {} : read(machineFile);
  let chosen = read(path);
  const passwordPath = join(folder, PROXY_PASSWORD_FILE);
  let kept = existsSync(passwordPath) ? readFileSync(passwordPath, 'utf8').trimEnd() : null;
  const get = (): Settings => ({ ...DEFAULTS, ...chosen, ...fixed });
  return {
    get,
    fixed: Object.keys(fixed),
    set: async (changes) => {
      const forbidden = Object.keys(changes).find((name) => Object.hasOwn(fixed, name));
      if (forbidden !== undefined) {
        throw new TributaryError('settings.fixed', `The owner of this machine has set ${forbidden}.`);
      }
      chosen = { ...chosen, ...changes };
      await writeFileAtomically(path, `${JSON.stringify(chosen, null, 2)}\n`);
      return get();
    },
    proxyPassword: () => process.env['TRIBUTARY_PROXY_PASSWORD'] ?? kept,
    setProxyPassword: async (password) => {
      if (password === null) await rm(passwordPath, { force: true });
      else await writeFileAtomically(passwordPath, password, 0o600);
      kept = password;
    },
  };
}

function read(path: string): Partial<Settings> {
  if (!existsSync(path)) return {};
  try {
    return settingsShape.partial().parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new TributaryError('settings.damaged', `${path} does not hold settings.`, { cause });
  }
}
