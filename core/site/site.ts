/**
 * @file A running site: its folder held, an agent at work for each of its federations, its control socket open.
 * Stopping it and killing it are the same to what is on disk; starting goes on where the last transaction left it.
 */

import { pino } from 'pino';
import type { Logger } from 'pino';
import { acquireFolderLock, serveControl } from '../control.ts';
import type { ControlHandlers, ControlServer, FolderLock } from '../control.ts';
import { TributaryError } from '../errors.ts';
import { sleep } from '../machine.ts';
import type { SecretStore } from '../secrets.ts';
import { startAgent } from './agent.ts';
import type { Agent, AgentOptions } from './agent.ts';
import type { FederationContext, SiteContext } from './context.ts';
import { closeSiteFolder, openFederation, openSiteFolder, requireSite } from './folder.ts';
import type { NetworkSettings } from '../network/settings.ts';
import { answerOffice, OFFICE } from './office.ts';
import type { OfficeCommand, OfficeRequest, OfficeResult } from './office.ts';
import type { Officeholder } from './office-row.ts';
import { nameOfRun } from './run-names.ts';
import { siteStatus } from './status.ts';
import type { SiteStatus } from './status.ts';
import type { SiteCrashPoint } from './store.ts';
import type { RoundTrainer } from './trainer.ts';
import { takeTurns } from './turns.ts';

/** How long a training may take to end when the site stops. */
const PATIENCE_MILLISECONDS = 5000;

export interface SiteOptions {
  readonly folder: string;
  readonly trainer: RoundTrainer;
  /** Name and version of this program. */
  readonly software: string;
  readonly log?: Logger;
  /** Told of every change of the status. */
  readonly onStatus?: (status: SiteStatus) => void;
  /** Writes an adapter where people find it; the run has the name that it has at this site. */
  readonly saveAdapter?: AgentOptions['saveAdapter'];
  readonly backoff?: AgentOptions['backoff'];
  readonly retrySeconds?: number;
  readonly connect?: AgentOptions['connect'];
  /** A policy file of the machine's owner, which the site's own cannot widen. */
  readonly machinePolicy?: string;
  /** Runs without a federation too, and stays when the site leaves one: for a window, where a person joins. */
  readonly resident?: boolean;
  /** Further commands of the control socket. */
  readonly commands?: (site: Site) => ControlHandlers;
  /** Where the keys are kept; files of the folder without it. */
  readonly secrets?: SecretStore;
  /** What lies between this machine and hubs, as it is set now. */
  readonly network?: () => NetworkSettings;
  /** For crash tests: what it is told of may be the last this process does. */
  readonly crashPoint?: SiteCrashPoint;
}

export interface Site {
  readonly context: SiteContext;
  /** Those at work, by the numbers of their federations. */
  readonly agents: ReadonlyMap<number, Agent>;
  status(): SiteStatus;
  /** Told of every change of the status from now on; returns how to stop. */
  watch(listener: (status: SiteStatus) => void): () => void;
  /** Asks in this process what the control socket is asked from others. */
  ask<C extends OfficeCommand>(command: C, request: OfficeRequest<C>): Promise<OfficeResult<C>>;
  /** Resolves when everything is closed, after `stop` or the command `stop`. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the site of a folder. Returns at once; an absent hub is waited for. Throws `site.not-joined` unless it is
 * resident, `folder.locked`, `database.*`, `identity.damaged`.
 */
export async function startSite(options: SiteOptions): Promise<Site> {
  if (options.resident !== true) requireSite(options.folder);
  const lock = acquireFolderLock(options.folder);
  try {
    return await start(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function start(options: SiteOptions, lock: FolderLock): Promise<Site> {
  const { folder, trainer, software, machinePolicy, saveAdapter, backoff, retrySeconds, connect } = options;
  const log = options.log ?? pino({ level: 'silent' });
  const { secrets, network, crashPoint } = options;
  const context = await openSiteFolder({ folder, log, machinePolicy, secrets, network, crashPoint });
  const watchers = new Set<(status: SiteStatus) => void>();
  if (options.onStatus !== undefined) watchers.add(options.onStatus);
  const turns = takeTurns(trainer);
  const agents = new Map<number, Agent>();
  let control: ControlServer | undefined;
  let ending: Promise<void> | undefined;
  let markStopped: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (markStopped = resolve));
  let told = '';

  const statusNow = (): SiteStatus => siteStatus({ context, agents, computing: turns.computing() });

  /** Many things change at once; each state is told once. */
  function tell(): void {
    if (ending !== undefined || watchers.size === 0) return;
    const status = statusNow();
    const text = JSON.stringify(status, (name, value: unknown) =>
      name === 'leftThisMachine' ? null : value,
    );
    if (text === told) return;
    told = text;
    for (const watcher of [...watchers]) watcher(status);
  }

  function startWork(federation: FederationContext): void {
    const { number, name } = federation;
    const agent = startAgent({
      context: federation,
      trainer: turns.trainerFor(name),
      software,
      ...(saveAdapter && {
        saveAdapter: (run, plan, tensors) => saveAdapter(nameOfRun(number, run), plan, tensors),
      }),
      backoff,
      retrySeconds,
      connect,
      onChange: () => {
        if (agents.has(number)) tell();
      },
    });
    agents.set(number, agent);
    tell();
  }

  /** Ends what works for one federation, or for all. */
  async function endWork(numbers: readonly number[]): Promise<void> {
    const ended = [...agents].filter(([number]) => numbers.includes(number));
    const stopping = Promise.all(ended.map(([, agent]) => agent.stop()));
    // A training that does not heed the signal ends with its process.
    const patience = new AbortController();
    const isLate = await Promise.race([
      stopping.then(() => false),
      sleep(PATIENCE_MILLISECONDS, patience.signal).then(
        () => true,
        () => false,
      ),
    ]);
    patience.abort();
    if (isLate || numbers.length === agents.size) await trainer.close();
    await stopping;
    for (const number of numbers) agents.delete(number);
  }

  async function beginFederation(name: string): Promise<void> {
    const membership = context.store.memberships().find((each) => each.name === name);
    if (membership === undefined) return;
    const { number } = membership;
    if (agents.has(number)) await endWork([number]);
    startWork(context.federations.get(number) ?? (await openFederation(context, membership)));
  }

  function stop(): Promise<void> {
    ending ??= end().finally(markStopped);
    return ending;
  }

  async function end(): Promise<void> {
    await endWork([...agents.keys()]);
    await control?.close();
    closeSiteFolder(context);
    lock.release();
    log.info('stopped');
  }

  async function answer(command: OfficeCommand, request: unknown): Promise<unknown> {
    const holder: Officeholder = {
      context,
      agents,
      computing: turns.computing(),
      software,
      // The answer goes out first.
      stop: () => void setImmediate(() => void stop()),
      changing: {
        joined: beginFederation,
        leaving: ({ number }) => endWork([number]),
        mayBeAlone: options.resident === true,
      },
    };
    try {
      return await answerOffice(holder, command, request);
    } finally {
      tell();
    }
  }
  const site: Site = {
    context,
    agents,
    status: statusNow,
    watch: (listener) => {
      watchers.add(listener);
      return () => void watchers.delete(listener);
    },
    // The row of the table that answers has this type.
    ask: async <C extends OfficeCommand>(command: C, request: OfficeRequest<C>) =>
      (await answer(command, request)) as OfficeResult<C>,
    stopped,
    stop,
  };

  try {
    if (options.resident !== true && context.federations.size === 0)
      throw new TributaryError('site.not-joined', `The site in ${folder} belongs to no federation yet.`);
    for (const federation of context.federations.values()) startWork(federation);
    const commands = Object.keys(OFFICE) as OfficeCommand[];
    control = await serveControl(folder, {
      ...Object.fromEntries(
        commands.map((command) => [command, (request: unknown) => answer(command, request)]),
      ),
      ...options.commands?.(site),
    });
    tell();
    return site;
  } catch (error) {
    await Promise.all([...agents.values()].map((agent) => agent.stop()));
    closeSiteFolder(context);
    throw error;
  }
}
