/** @file Asking a hub by its folder, whether it is running or not. */

import { resolve } from 'node:path';
import { pino } from 'pino';
import { acquireFolderLock, askControl } from '../control.ts';
import { TributaryError } from '../errors.ts';
import type { Outbox } from './context.ts';
import { invitationUrls, openHubFolder, requireHub } from './folder.ts';
import { answerOffice } from './office.ts';
import type { OfficeCommand, OfficeRequest, OfficeResult } from './office.ts';
import { createUptimeClock } from './uptime.ts';

/** Seconds an answer may take: a backup of large adapters is the longest. */
const TIMEOUT_SECONDS = 600;

/** Nobody is there; what is sent is owed and told when the site comes to the running hub. */
const nobody: Outbox = {
  send: () => undefined,
  traffic: (site) => ({ site, up: 0, down: 0 }),
  settleTraffic: () => undefined,
  presence: () => ({ connected: false, since: null, silentSeconds: null, progress: null, trouble: null }),
  disconnect: () => undefined,
};

/**
 * Asks the running hub of a folder, or does the same in this process while none is running.
 * Throws `hub.not-there` and whatever the command throws.
 */
export async function askHub<C extends OfficeCommand>(
  folder: string,
  command: C,
  request: OfficeRequest<C>,
): Promise<OfficeResult<C>> {
  requireHub(folder);
  const result = await askRunning(folder, command, request);
  // Both ways run the same row of the table, whose type this is.
  return result as OfficeResult<C>;
}

async function askRunning(folder: string, command: OfficeCommand, request: unknown): Promise<unknown> {
  const fields = fromHere(request);
  try {
    return await askControl(folder, { ...fields, command }, TIMEOUT_SECONDS);
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'folder.not-running') throw error;
    if (command === 'stop') return { stopped: false };
    return askDirectly(folder, command, fields);
  }
}

/** A path is meant from the asker's working directory, not from the hub's. */
function fromHere(request: unknown): object {
  if (typeof request !== 'object' || request === null) return {};
  const paths = Object.entries(request).filter(([name]) => name === 'out' || name === 'start');
  return { ...request, ...Object.fromEntries(paths.map(([name, path]) => [name, absolute(path)])) };
}

function absolute(path: unknown): unknown {
  return typeof path === 'string' ? resolve(path) : path;
}

async function askDirectly(folder: string, command: OfficeCommand, request: unknown): Promise<unknown> {
  const lock = acquireFolderLock(folder);
  try {
    const hub = await openHubFolder({ folder, outbox: nobody, log: pino({ level: 'silent' }) });
    try {
      const holder = {
        hub,
        clock: createUptimeClock(hub, () => 0),
        running: false,
        urls: () => invitationUrls(hub),
        advance: () => Promise.resolve(),
        stop: () => undefined,
      };
      return await answerOffice(holder, command, request);
    } finally {
      hub.store.close();
    }
  } finally {
    lock.release();
  }
}
