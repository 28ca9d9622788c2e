/** @file The process of a hub: its door for sites, and its window for whoever asks for one. */

import { join } from 'node:path';
import { pino } from 'pino';
import { openHubWindow } from '../../core/bridge/hub/window.ts';
import type { HubWindow } from '../../core/bridge/hub/window.ts';
import { TributaryError } from '../../core/errors.ts';
import { machineRules } from '../../core/folders.ts';
import { requireHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub, HubOptions } from '../../core/hub/hub.ts';
import { windowPages } from '../../core/programs.ts';
import { tuneHub } from '../runtime.ts';
import { SOFTWARE, VERSION } from '../version.ts';
import { createWindowAddress } from './window-address.ts';

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

/** Throws as `startHub` does; asking for the window throws `settings.damaged` too. */
export async function startHubProcess({
  logLevel,
  windowPort,
  ...options
}: HubProcessOptions): Promise<HubProcess> {
  const { folder } = options;
  requireHub(folder);
  const tuning = tuneHub();
  const destination = pino.destination({ dest: join(folder, 'hub.log'), sync: true, mode: 0o600 });
  const started: { hub?: Hub } = {};
  let opened: HubWindow | undefined;
  // A hub that nobody looks at does not look at itself every second either.
  const window = createWindowAddress({
    dispatcher: () => {
      const { hub } = started;
      if (hub === undefined) throw new TributaryError('folder.not-running', 'The hub is still starting.');
      opened ??= openHubWindow({
        ...{ folder, hub, machine: machineRules() },
        program: { software: SOFTWARE, version: VERSION, surface: 'browser', secrets: 'file' },
      });
      return opened.dispatcher;
    },
    ...{ pages: windowPages, port: windowPort },
  });
  const hub = await startHub({
    ...options,
    onBuffers: tuning.onBuffers,
    log: pino({ level: logLevel }, destination),
    commands: { window: async () => ({ url: await window.address() }) },
  });
  started.hub = hub;
  hub.watch(tuning.onEvent);
  void hub.stopped.then(async () => {
    await window.close();
    await opened?.close();
  });
  return { hub, address: window.address };
}
