/**
 * @file A running hub: the door, the sites behind it, the rounds. Stopping it and killing it are the same to
 * what is on disk; starting goes on where the last transaction left it.
 */

import { join } from 'node:path';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { acquireFolderLock, serveControl } from '../control.ts';
import type { ControlHandlers, ControlServer, FolderLock } from '../control.ts';
import { toTributaryError, TributaryError } from '../errors.ts';
import type { Message, MessageType } from '../federation/messages.ts';
import { serveTransfers } from '../federation/transfer.ts';
import type { HubContext, HubEvent } from './context.ts';
import { invitationUrls, openHubFolder, requireHub } from './folder.ts';
import { machine } from '../machine.ts';
import { createNetwork } from '../network/network.ts';
import { listen } from './listener.ts';
import type { Listener, Peer } from './listener.ts';
import { createMetrics } from './metrics.ts';
import { answerOffice, OFFICE } from './office.ts';
import type { Ask, OfficeCommand, Officeholder, OfficeResult } from './office.ts';
import { owedTo, takeCountersignature } from './owed.ts';
import { createPages } from './pages.ts';
import { advance } from './progress.ts';
import { takeApproval, takeDecline } from './proposals.ts';
import { owedRehearsals, takeRehearsed } from './rehearsals.ts';
import { createRefusalLog } from './refusals.ts';
import { publishedBlobs, removeUnused } from './retention.ts';
import { takeScore } from './scoring.ts';
import { METRICS_TOKEN_FILE, openSecretFile, WEBHOOK_SECRET_FILE } from './secret-file.ts';
import { hubKeysMessage } from './rotation.ts';
import { createSessions } from './sessions.ts';
import type { CrashPoint } from './store.ts';
import { acceptOffer } from './updates.ts';
import { createUptimeClock } from './uptime.ts';
import { createWaitingUpdates } from './waiting-updates.ts';
import { startWebhook } from './webhook.ts';
import type { Webhook } from './webhook.ts';

export interface HubOptions {
  readonly folder: string;
  /** Address to listen on; 127.0.0.1 when absent. */
  readonly host?: string;
  /** 0 or absent: the port of the last time, or a free one that is kept. */
  readonly port?: number;
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly log?: Logger;
  readonly onEvent?: (event: HubEvent) => void;
  readonly heartbeatSeconds?: number;
  /** Address that is told of every event. */
  readonly webhook?: string;
  /** Further commands of the control socket. */
  readonly commands?: ControlHandlers;
  /** Told how many bytes have gone through buffers that are garbage afterwards. */
  readonly onBuffers?: (bytes: number) => void;
  /** Unix seconds; for tests. */
  readonly now?: () => number;
  /** For crash tests: what it throws ends the hub on the spot. */
  readonly crashPoint?: CrashPoint;
  /** Opens the door; a simulation brings its own. */
  readonly listen?: typeof listen;
}

export interface Hub {
  readonly url: string;
  readonly context: HubContext;
  /** Told of every event from now on; returns how to stop. */
  readonly watch: (listener: (event: HubEvent) => void) => () => void;
  /** Asks in this process what the control socket is asked from others. */
  readonly ask: Ask;
  /** Resolves when everything is closed, after `stop`, the command `stop` or a crash. */
  readonly stopped: Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Messages after which nothing can go on that could not before. */
const QUIET: ReadonlySet<MessageType> = new Set<MessageType>([
  'progress',
  'trouble',
  'countersign',
  'rehearsed',
]);

/** How often deadlines are looked at, seconds. */
const TICK_SECONDS = 1;

/**
 * Starts a hub in its folder and goes on with what was under way.
 * Throws `hub.not-there`, `folder.locked`, or what the system says of the port.
 */
export async function startHub(options: HubOptions): Promise<Hub> {
  requireHub(options.folder);
  const lock = acquireFolderLock(options.folder);
  try {
    return await start(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function start(options: HubOptions, lock: FolderLock): Promise<Hub> {
  const { folder, host = '127.0.0.1', tls, heartbeatSeconds = 4 } = options;
  const log = options.log ?? pino({ level: 'silent' });
  const now = options.now ?? (() => Math.floor(machine.date() / 1000));
  const watchers = new Set<(event: HubEvent) => void>();
  if (options.onEvent !== undefined) watchers.add(options.onEvent);
  let webhook: Webhook | undefined;
  const emit = (event: HubEvent): void => {
    metrics.see(event);
    webhook?.tell(event);
    for (const watcher of [...watchers]) watcher(event);
  };
  const sessions = createSessions(now);
  let listener: Listener | undefined;
  let ending: Promise<void> | undefined;
  let markStopped: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (markStopped = resolve));

  const crashPoint: CrashPoint = (point) => {
    try {
      options.crashPoint?.(point);
    } catch (error) {
      hub.store.close(); // as after kill -9: nothing is written from here on
      void stop();
      throw error;
    }
  };
  const hub = await openHubFolder({ folder, outbox: sessions, log, emit, now, crashPoint });
  const metrics = createMetrics(
    () => (hub.store.database.open ? hub : null),
    () => listener?.unauthenticated() ?? 0,
  );
  const clock = createUptimeClock(hub, () => machine.now() / 1000);
  const updates = createWaitingUpdates(hub);
  const advanceNow = (): Promise<void> =>
    hub.inTurn(async () => {
      await advance(hub, clock);
      while (updates.again()) await advance(hub, clock);
    });

  function handle(peer: Peer, message: Message): void {
    const { site } = peer;
    // A revoked site's last frames may still be in the queue.
    if (hub.members.find(site)?.revoked !== null) return;
    switch (message.type) {
      case 'approval':
        // A site that approves a run under way joins the current round.
        if (takeApproval(hub, site, message)) tellOwed(site);
        return;
      case 'decline':
        return takeDecline(hub, site, message);
      case 'progress':
      case 'trouble':
        return sessions.heard(site, message);
      case 'rehearsed':
        return takeRehearsed(hub, site, message);
      case 'score':
        return void takeScore(hub, site, message);
      case 'update':
        return updates.take(site, message);
      case 'rotate-keys':
        hub.members.rotate(site, message);
        log.info({ site }, 'the keys of a site were changed');
        return sessions.send(site, { type: 'keys-rotated', roster: hub.members.roster() });
      case 'countersign':
        return takeCountersignature(hub, site, message);
      default:
        throw new TributaryError('wire.not-allowed', `${message.type} has no place after the welcome.`);
    }
  }

  function tellOwed(site: string): void {
    for (const message of owedTo(hub, site, clock.seconds)) sessions.send(site, message);
    for (const message of owedRehearsals(hub, site)) sessions.send(site, message);
  }

  function onControl(peer: Peer): void {
    const { site, channel } = peer;
    sessions.enter(site, channel);
    log.info({ site }, 'connected');
    emit({ type: 'connected', site });
    void channel.closed.then((reason) => {
      log.info({ site, code: reason.code }, 'disconnected');
      if (!sessions.connected().includes(site)) emit({ type: 'disconnected', site, reason: reason.message });
    });
    channel.listen(async (message) => {
      await hub.inTurn(() => handle(peer, message));
      if (!QUIET.has(message.type)) await advanceNow().catch(report); // its fault is not this site’s
    });
    if (peer.isFormer) channel.send(hubKeysMessage(hub));
    hub.inTurn(() => tellOwed(site)).catch(report);
  }

  function onBulk({ site, channel }: Peer): void {
    sessions.enter(site, channel);
    serveTransfers({
      channel,
      store: hub.blobs,
      mayServe: (hash) => {
        if (hub.members.find(site)?.revoked !== null) return false;
        return hub.runs.runs().some((run) => publishedBlobs(hub, run).includes(hash));
      },
      acceptOffer: (offer) => acceptOffer(hub, site, offer),
      onArrived: (blob) =>
        void hub
          .inTurn(() => updates.arrived(site, blob.hash))
          .then(advanceNow)
          .catch(report),
    });
  }

  function report(thrown: unknown): void {
    const { code, message } = toTributaryError(thrown);
    if (ending === undefined) log.error({ code }, message);
  }

  function stop(): Promise<void> {
    ending ??= end().finally(markStopped);
    return ending;
  }

  async function end(): Promise<void> {
    timer.cancel();
    await control?.close();
    await listener?.close();
    await webhook?.stop();
    if (hub.store.database.open) {
      await hub.inTurn(() => clock.save()).catch(report);
      hub.store.close();
    }
    lock.release();
    log.info('stopped');
  }

  const timer = machine.startInterval(TICK_SECONDS * 1000, () => {
    advanceNow().catch(report);
  });
  let control: ControlServer | undefined;

  const holder: Officeholder = {
    hub,
    clock,
    running: true,
    urls: () => invitationUrls(hub),
    advance: advanceNow,
    // The answer goes out first.
    stop: () => void setImmediate(() => void stop()),
  };
  const ask: Ask = async (command, request) => {
    const result = await answerOffice(holder, command, request);
    return result as OfficeResult<typeof command>; // the type of the row that was run
  };

  try {
    await removeUnused(hub);
    const federation = hub.store.setting('federation') ?? '';
    if (options.webhook !== undefined) {
      const secret = await openSecretFile(join(folder, WEBHOOK_SECRET_FILE));
      const network = createNetwork();
      webhook = startWebhook({ network, url: options.webhook, secret, federation, log, now });
    }
    const token = await openSecretFile(join(folder, METRICS_TOKEN_FILE));
    listener = await (options.listen ?? listen)({
      host,
      port: options.port || Number(hub.store.setting('port') ?? '0'),
      tls,
      keys: hub.identity.x25519,
      formerKeys: hub.former?.x25519,
      federation,
      heartbeatSeconds,
      roster: (isFormer) => hub.members.roster(isFormer),
      lookUpInvitation: (id) => hub.members.lookUpInvitation(id),
      admit: (join, x25519) => {
        const known = hub.members.lookUp(x25519) !== null;
        const entry = hub.members.admit(join, x25519);
        // A device that was replaced is shown out.
        if (!known) sessions.disconnect(entry.site, 'site.revoked');
        if (!known) emit({ type: 'joined', site: entry.site });
        return entry;
      },
      lookUpMember: (x25519) => {
        const entry = hub.members.lookUp(x25519);
        if (entry !== null) hub.members.confirm(x25519);
        return entry;
      },
      onControl,
      onBulk,
      onBuffers: options.onBuffers,
      onRequest: createPages(metrics, token),
      onRefused: createRefusalLog(log, metrics.seeRefused, now),
    });
    hub.store.setSetting('port', String(listener.port));
    hub.store.setSetting('url', listener.url);
    control = await serveControl(folder, { ...handlersOf(holder), ...options.commands });
  } catch (error) {
    timer.cancel();
    await listener?.close();
    await webhook?.stop();
    hub.store.close();
    throw addressInUse(error);
  }
  log.info({ url: listener.url }, 'listening');
  emit({ type: 'listening', url: listener.url });
  await advanceNow();
  return {
    url: listener.url,
    context: hub,
    watch: (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    ask,
    stopped,
    stop,
  };
}

function addressInUse(error: unknown): unknown {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new TributaryError('hub.address-in-use', `Another program is listening there: ${error.message}.`);
}

function handlersOf(holder: Officeholder): ControlHandlers {
  const commands = Object.keys(OFFICE) as OfficeCommand[];
  return Object.fromEntries(
    commands.map((command) => [command, (request: unknown) => answerOffice(holder, command, request)]),
  );
}
