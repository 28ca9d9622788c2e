/** @file The running site: both sockets to the hub, what comes over them, and what the site says of itself. */

import { toTributaryError, TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import type { Channel } from '../federation/channel.ts';
import { sign } from '../federation/identity.ts';
import type { Identity } from '../federation/identity.ts';
import type { Message, MessageOf, SocketRole } from '../federation/messages.ts';
import type { Plan } from '../federation/plan.ts';
import { findMember, verifyRoster } from '../federation/roster.ts';
import type { RosterEntry } from '../federation/roster.ts';
import { countersignStatement } from '../federation/statements.ts';
import type { Traffic } from '../federation/traffic.ts';
import { serveTransfers } from '../federation/transfer.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { adoptAmendment, answerAmendment, answerKnownAmendment } from './amendments.ts';
import { createBulk, superseded } from './bulk.ts';
import { connectToHub } from './connect.ts';
import type { Connected } from './connect.ts';
import type { FederationContext } from './context.ts';
import { reasonForHub } from './disclosure.ts';
import { createFinalAdapters, finalAdapterOf } from './final-adapter.ts';
import { mayBeUnchecked, passGate } from './policy.ts';
import { answerProposal, answerRun } from './proposals.ts';
import { PROBE_STEPS } from './probe.ts';
import { DEFAULT_BACKOFF, keepConnected } from './reconnect.ts';
import type { Backoff } from './reconnect.ts';
import { createRehearsals } from './rehearsals.ts';
import type { WaitingRehearsal } from './rehearsals.ts';
import { connectWithKeys, pinHub } from './rotation.ts';
import { createRounds } from './rounds.ts';
import type { Activity } from './rounds.ts';
import type { Membership } from './tables.ts';
import { createMeter } from './traffic.ts';
import { watchForWakes } from './wake.ts';
import type { RoundTrainer } from './trainer.ts';

export interface AgentOptions {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly software: string;
  /** Told whenever what `status` says has changed. */
  readonly onChange?: () => void;
  /** Writes the adapter of a run where people find it, once it lies verified in the blob store. */
  readonly saveAdapter?: (run: string, plan: Plan, tensors: NamedTensors) => Promise<void>;
  readonly backoff?: Backoff;
  /** Seconds before a failed training, or the keeping of an adapter, is tried again. */
  readonly retrySeconds?: number;
  /** Opens a connection; a simulation brings its own. */
  readonly connect?: typeof connectToHub;
}

export interface Agent {
  /** Whether the hub is there, and if not, why. */
  connection(): {
    readonly connected: boolean;
    readonly url: string | null;
    readonly reason: TributaryError | null;
    /** Why the certificate of the hub is not believed, where the policy does without it. */
    readonly unchecked: string | null;
  };
  activity(): Activity | null;
  /** What went wrong last, until something succeeds. */
  trouble(): TributaryError | null;
  /** Why a run has nothing to do here although it goes on, as the hub says it. */
  notice(run: string): string | null;
  /** Looks at a run again, after an approval or a change of the policy. */
  reconsider(run?: string): void;
  /** Rehearsals that wait for a person. */
  rehearsals(): readonly WaitingRehearsal[];
  /** Says no to one of them, with a person's reason. */
  declineRehearsal(rehearsal: string, reason: string): void;
  /** Connects anew, as after a break. */
  renewConnection(): void;
  /** Ends what is under way for a run that a person has stopped, and gives the hub the answer. */
  interrupt(run: string, answer: Message): void;
  /** The list of members that the hub last showed, which it has signed; empty until it was connected. */
  members(): readonly RosterEntry[];
  /** Bytes sent that are not in the database yet. */
  unwrittenTraffic(): Traffic;
  /** Resolves when everything has stopped; what is under way resumes at the next start. */
  stop(): Promise<void>;
}

/** How often the counters of traffic are written down; each time costs a write to the disk. */
const TRAFFIC_MILLISECONDS = 1000;

/** Starts the agent of a site that has joined. Throws `site.not-joined`. */
export function startAgent(options: AgentOptions): Agent {
  const { context, onChange = () => undefined, backoff = DEFAULT_BACKOFF, connect = connectToHub } = options;
  const { store, blobs, log } = context;
  let membership = requireMembership(context);
  const abort = new AbortController();
  const { signal } = abort;
  const bulk = createBulk();
  const meter = createMeter(store);
  let members: readonly RosterEntry[] = [];
  /** What the hub last said of why a run has nothing to do here. */
  const notices = new Map<string, string>();
  let control: Connected | null = null;
  /** What the hub said while the keys of this site were changed. */
  let unheard: readonly Message[] = [];
  let activity: Activity | null = null;
  let reason: TributaryError | null = null;
  let trouble: TributaryError | null = null;

  /** Every frame to the hub passes the gate. */
  function sendOver(channel: Channel, message: Message): void {
    passGate(context.policies(), { kind: 'message', message });
    channel.send(message);
  }
  const outbox = {
    send: (message: Message): void => {
      if (control !== null) sendOver(control.channel, message);
    },
  };

  const rounds = createRounds({
    context,
    trainer: options.trainer,
    bulk,
    outbox,
    signal,
    retrySeconds: options.retrySeconds,
    isConnected: () => control !== null,
    onActivity: (now) => {
      activity = now;
      if (now?.phase === 'waiting') trouble = null;
      onChange();
    },
    onTrouble: (error) => {
      trouble = error;
      if (activity !== null && control !== null) {
        const { run, round } = activity;
        outbox.send({ type: 'trouble', run, round, code: error.code, reason: reasonForHub(error) });
      }
      onChange();
    },
  });

  const finalAdapters = createFinalAdapters({
    ...{ context, trainer: options.trainer, bulk, rounds, saveAdapter: options.saveAdapter, signal },
    retrySeconds: options.retrySeconds,
    onTrouble: (error) => {
      trouble = error;
      onChange();
    },
    onSaved: onChange,
  });

  const rehearsals = createRehearsals({
    ...{ context, trainer: options.trainer, outbox, signal, inTurn: rounds.inTurn },
    onStep: (at) => {
      activity = at && {
        ...{ run: at.rehearsal, round: 0, rounds: at.plan.federation.rounds, phase: 'rehearsing' },
        ...{ step: at.step, steps: PROBE_STEPS, loss: null },
      };
      onChange();
    },
  });

  const wakes = watchForWakes();
  /** Why the counters of traffic could not be written; that is how a full disk shows soonest. */
  let unwritable: TributaryError | null = null;
  const flushing = machine.startInterval(TRAFFIC_MILLISECONDS, flush);

  function flush(): void {
    try {
      meter.flush();
      if (unwritable === null) return;
      if (trouble === unwritable) trouble = null;
      unwritable = null;
    } catch (thrown) {
      if (unwritable !== null) return;
      unwritable = toTributaryError(thrown);
      trouble = unwritable;
      log.warn({ code: unwritable.code }, unwritable.message);
    }
    onChange();
  }

  /** A connection of a simulation brings no stream that was watched from its beginning. */
  function count({ channel, isMetered }: Connected): void {
    if (isMetered !== true) meter.attach(channel);
  }

  /** The hub has to show the roster it showed before or a newer one, with this site in it. */
  function checkWelcome({ welcome }: Connected): void {
    verifyRoster(welcome.roster, membership.ed25519, store.membership()?.roster_version);
    const entry = findMember(welcome.roster, context.identity.x25519.publicKey);
    if (welcome.federation !== membership.federation || entry?.site !== membership.site) {
      throw new TributaryError('roster.bad-signature', 'The hub’s list of members does not hold this site.');
    }
    members = welcome.roster.entries;
    store.transaction('see-roster', () => store.sawRoster(welcome.roster.version));
  }

  function onControl(connected: Connected): void {
    count(connected);
    checkWelcome(connected);
    control = connected;
    reason = null;
    const { url, unchecked = null } = connected;
    if (unchecked !== null)
      log.warn({ url, certificate: unchecked }, 'the certificate of the hub is not believed');
    for (const message of unheard) receive(message);
    connected.channel.listen(receive);
    void connected.channel.closed.then(() => {
      if (control === connected) control = null;
    });
    rounds.reconnected();
    onChange();
  }

  function onBulk(connected: Connected): void {
    count(connected);
    checkWelcome(connected);
    const gated: Channel = { ...connected.channel, send: (message) => sendOver(connected.channel, message) };
    const transfers = serveTransfers({ channel: gated, store: blobs, mayServe: isMine });
    bulk.set(transfers);
    void connected.channel.closed.then(() => bulk.set(null));
    for (const run of store.runs()) finalAdapters.keep(run.run);
  }

  /** The hub may fetch what this site has trained for it and nothing else. */
  function isMine(hash: string): boolean {
    return store.isUpdate(hash);
  }

  function receive(message: Message): void {
    switch (message.type) {
      case 'proposal':
        reply(answerProposal(context, message));
        break;
      case 'amendment':
        reply(answerAmendment(context, message));
        break;
      case 'rehearse':
        rehearsals.take(message);
        break;
      case 'evaluate':
        rounds.evaluate(message);
        break;
      case 'run-notice':
        takeNotice(message);
        break;
      case 'round-start':
        notices.delete(message.run);
        adoptAmendment(context, message);
        rounds.start(message);
        endRehearsals(message.run);
        break;
      case 'update-accepted':
        rounds.accepted(message);
        break;
      case 'update-refused':
        trouble = new TributaryError('site.update-refused', `The hub refused an update: ${message.reason}`);
        rounds.refused(message);
        break;
      case 'round-closed':
        rounds.closed(message);
        countersign(message);
        break;
      case 'run-ended':
        endRun(message);
        endRehearsals(message.run);
        break;
      case 'hub-keys':
        pinHub(context, membership, message);
        membership = requireMembership(context);
        control?.channel.close();
        break;
      default:
        throw new TributaryError('wire.not-allowed', `${message.type} has no place on a control socket.`);
    }
    onChange();
  }

  function endRehearsals(run: string): void {
    const plan = store.run(run)?.plan_hash;
    if (plan !== undefined) rehearsals.end(plan);
  }

  /** Why there is nothing to do although the run goes on. */
  function takeNotice({ run: id, kind, reason: why }: MessageOf<'run-notice'>): void {
    if (kind === 'resumed') {
      notices.delete(id);
      return;
    }
    notices.set(id, why);
    log.info({ run: id, kind }, why);
    const run = store.run(id);
    if (kind !== 'excluded' || run?.state !== 'approved') return;
    rounds.abandon(id);
    store.transaction('decline', () => {
      store.setRun(id, 'declined', why);
      store.ledger.append('refusal', { run: id, code: 'site.excluded', reason: why });
    });
  }

  function reply(answer: Message | null): void {
    if (answer !== null) outbox.send(answer);
  }

  /** A hub that shows two pasts gets no signature for the second. */
  function countersign({ ledgerEntry: { index, hash } }: MessageOf<'round-closed'>): void {
    const seen = store.countersigned(index);
    if (seen !== null && seen !== hash) {
      throw new TributaryError(
        'ledger.forked',
        `The hub shows two different entries ${index} of its ledger.`,
      );
    }
    if (seen === null)
      store.transaction('countersign', () => store.ledger.append('countersign', { index, hash }));
    const signature = sign(context.identity.ed25519, countersignStatement({ index, hash }));
    outbox.send({ type: 'countersign', index, hash, signature });
  }

  function endRun({ run: id, state, reason: why, adapter }: MessageOf<'run-ended'>): void {
    const run = store.run(id);
    rounds.abandon(id);
    notices.delete(id);
    if (run === null || run.state === state) return;
    store.transaction('end-run', () => {
      store.setRun(id, state, why);
      const kept = finalAdapterOf(context, run, adapter);
      if (kept !== null) store.setAdapter(id, kept);
      store.ledger.append('run-end', { run: id, state, reason: why, adapter: adapter?.hash ?? null });
    });
    finalAdapters.keep(id);
  }

  const connectAs = (role: SocketRole, turn: AbortSignal, identity: Identity): Promise<Connected> =>
    connect({
      urls: membership.urls,
      role,
      software: options.software,
      identity,
      hubX25519: membership.x25519,
      signal: turn,
      meter,
      network: context.network,
      mayBeUnchecked: () => mayBeUnchecked(context.policies()),
    });

  /** Keys that are to change do so before anything else is said. */
  async function connectControl(turn: AbortSignal): Promise<Connected> {
    const entered = await connectWithKeys(context, membership, (identity) =>
      connectAs('control', turn, identity),
    );
    unheard = entered.held;
    return entered.connected;
  }

  const keep = (role: SocketRole, onConnected: (connected: Connected) => void): Promise<void> =>
    keepConnected({
      connect: (turn) =>
        role === 'control' ? connectControl(turn) : connectAs(role, turn, context.identity),
      onConnected,
      onLost: (lost) => {
        if (role === 'bulk') return;
        reason = lost;
        log.info({ code: lost.code }, lost.message);
        onChange();
      },
      isFinal: ({ code }) => code === 'site.revoked',
      backoff,
      wakes,
      signal,
    });
  const loops = [keep('control', onControl), keep('bulk', onBulk)];

  return {
    connection: () => ({
      connected: control !== null,
      url: control?.url ?? null,
      reason,
      unchecked: control?.unchecked ?? null,
    }),
    activity: () => activity,
    trouble: () => trouble,
    notice: (run) => notices.get(run) ?? null,
    reconsider: (run) => {
      const runs = run === undefined ? store.runs().map((known) => known.run) : [run];
      for (const id of runs) {
        reply(answerRun(context, id));
        reply(answerKnownAmendment(context, id));
      }
      rehearsals.reconsider();
      onChange();
    },
    rehearsals: rehearsals.waiting,
    declineRehearsal: (rehearsal, reason) => {
      rehearsals.decline(rehearsal, reason);
      onChange();
    },
    renewConnection: () => control?.channel.close(),
    interrupt: (run, answer) => {
      if (store.stopped(run) === 'paused') rounds.pause(run);
      else rounds.abandon(run);
      reply(answer);
      onChange();
    },
    members: () => members,
    unwrittenTraffic: meter.unwritten,
    stop: async () => {
      abort.abort(superseded('The site stops.'));
      flushing.cancel();
      wakes.close();
      await Promise.all([...loops, rounds.settled()]);
      flush();
    },
  };
}

function requireMembership({ store, folder }: FederationContext): Membership {
  const membership = store.membership();
  if (membership !== null) return membership;
  throw new TributaryError('site.not-joined', `The site in ${folder} belongs to no federation yet.`);
}
