/** @file Asking a site by its folder, whether it is running or not. */

import { resolve } from 'node:path';
import { pino } from 'pino';
import { acquireFolderLock, askControl } from '../control.ts';
import { TributaryError } from '../errors.ts';
import type { NetworkSettings } from '../network/settings.ts';
import { closeSiteFolder, openSiteFolder, requireSite } from './folder.ts';
import { answerOffice } from './office.ts';
import type { OfficeCommand, OfficeRequest, OfficeResult } from './office.ts';
import type { SiteCrashPoint } from './store.ts';

/** Seconds an answer may take: an import of many rows is the longest. */
const TIMEOUT_SECONDS = 600;

/** Commands that make the folder when there is none. */
const founding: ReadonlySet<OfficeCommand> = new Set<OfficeCommand>(['join', 'import', 'policy']);

export interface AskOptions {
  readonly folder: string;
  /** Name and version of this program. */
  readonly software: string;
  readonly machinePolicy?: string;
  /** What lies between this machine and hubs, while no site runs. */
  readonly network?: () => NetworkSettings;
  /** For crash tests, while no site runs. */
  readonly crashPoint?: SiteCrashPoint;
}

/**
 * Asks the running site of a folder, or does the same in this process while none is running.
 * Throws `site.not-joined` and whatever the command throws.
 */
export async function askSite<C extends OfficeCommand>(
  options: AskOptions,
  command: C,
  request: OfficeRequest<C>,
): Promise<OfficeResult<C>> {
  if (!founding.has(command)) requireSite(options.folder);
  const result = await askRunning(options, command, withFullPaths(request));
  // Both ways run the same row of the table, whose type this is.
  return result as OfficeResult<C>;
}

async function askRunning(options: AskOptions, command: OfficeCommand, request: object): Promise<unknown> {
  try {
    return await askControl(options.folder, { ...request, command }, TIMEOUT_SECONDS);
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'folder.not-running') throw error;
    if (command === 'stop') return { stopped: false };
    return askDirectly(options, command, request);
  }
}

async function askDirectly(options: AskOptions, command: OfficeCommand, request: object): Promise<unknown> {
  const { folder, software, machinePolicy, network, crashPoint } = options;
  const lock = acquireFolderLock(folder);
  try {
    const context = await openSiteFolder({
      folder,
      log: pino({ level: 'silent' }),
      machinePolicy,
      network,
      crashPoint,
    });
    try {
      return await answerOffice({ context, agents: null, software, stop: () => undefined }, command, request);
    } finally {
      closeSiteFolder(context);
    }
  } finally {
    lock.release();
  }
}

/** The running site has a working directory of its own. */
function withFullPaths(request: object): object {
  const paths = Object.entries(request).filter(([name, value]) => typeof value === 'string' && isPath(name));
  return { ...request, ...Object.fromEntries(paths.map(([name, value]) => [name, resolve(String(value))])) };
}

function isPath(field: string): boolean {
  return field === 'file' || field === 'out';
}
