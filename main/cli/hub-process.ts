/** @file The process of a hub: its door for sites, and its window for whoever asks for one. */

import { join } from 'node:path';
import { pino } from 'pino';
import { openHubWindow } from '../../core/bridge/hub/window.ts';
import { TributaryError } from '../../core/errors.ts';
import { machineRules } from '../../core/folders.ts';
import { requireHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub, HubOptions } from '../../core/hub/hub.ts';
import { windowPages } from '../../core/programs.ts';
import { SOFTWARE, VERSION } from './version.ts';
import { createWindowAddress } from './window-address.ts';
import type { WindowAddress } from './window-address.ts';

export interface HubProcessOptions extends Pick<
  HubOptions,
  'folder' | 'host' | 'port' | 'tls' | 'webhook' | 'onEvent'
> {
  readonly logLevel: string;
  /** Port of the window; 0 takes a free one. */
  readonly windowPort?: number;
}

export interface HubProcess {
  /** When it stops, its window is closed too. */
  readonly hub: Hub;
  /** A new address with a one-time token, under which the window is served. */
  readonly address: () => Promise<string>;
}

/** Throws as `startHub` does, and `settings.damaged`. */
export async function startHubProcess({
  logLevel,
  windowPort,
  ...options
}: HubProcessOptions): Promise<HubProcess> {
  const { folder } = options;
  requireHub(folder);
  const destination = pino.destination({ dest: join(folder, 'hub.log'), sync: true, mode: 0o600 });
  let window: WindowAddress | undefined;
  const hub = await startHub({
    ...options,
    log: pino({ level: logLevel }, destination),
    commands: { window: async () => ({ url: await addressOf(window) }) },
  });
  try {
    const { dispatcher, close } = openHubWindow({
      ...{ folder, hub, machine: machineRules() },
      program: { software: SOFTWARE, version: VERSION, surface: 'browser', secrets: 'file' },
    });
    window = createWindowAddress({ dispatcher, pages: windowPages, port: windowPort });
    void hub.stopped.then(async () => {
      await window?.close();
      await close();
    });
  } catch (error) {
    await hub.stop();
    throw error;
  }
  return { hub, address: () => addressOf(window) };
}

function addressOf(window: WindowAddress | undefined): Promise<string> {
  if (window === undefined) throw new TributaryError('folder.not-running', 'The hub is still starting.');
  return window.address();
}
