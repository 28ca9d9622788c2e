/**
 * @file The work of a round: fetch the base, train, keep the update, send it, wait for its acknowledgement. Each
 * step is on disk before the next, so a killed site goes on: what was trained is sent again, never trained again.
 */

import { rm } from 'node:fs/promises';
import { toTributaryError } from '../errors.ts';
import type { TributaryError } from '../errors.ts';
import { machine, sleep } from '../machine.ts';
import { sign } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { updateStatement } from '../federation/statements.ts';
import { superseded } from './bulk.ts';
import type { Bulk } from './bulk.ts';
import type { FederationContext, Outbox } from './context.ts';
import type { TrainedUpdate } from './federation-store.ts';
import { createHeldTensors } from './held.ts';
import { passGate } from './policy.ts';
import { checkRound, declineRun, planOf } from './proposals.ts';
import { checkpointFolder, trainRound } from './round-training.ts';
import { scoreAggregate } from './scoring.ts';
import { declineOfStopped, pauseAfterRound } from './stops.ts';
import type { SiteRound } from './tables.ts';
import type { RoundTrainer } from './trainer.ts';

/**
 * A training that fails is tried again, for it may have been the machine's fault; and as long as the hub does not hear
 * of it, for it may have gone on and refuse what it does not need any more.
 */
const ATTEMPTS = 3;
const RETRY_SECONDS = 5;
/** Steps are told to the hub at most this often. */
const PROGRESS_MILLISECONDS = 1000;

export type Phase = 'fetching' | 'training' | 'sending' | 'waiting' | 'scoring' | 'rehearsing';

/** What the site is doing. */
export interface Activity {
  readonly run: string;
  readonly round: number;
  readonly rounds: number;
  readonly phase: Phase;
  readonly step: number;
  readonly steps: number;
  readonly loss: number | null;
}

export interface RoundsOptions {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly bulk: Bulk;
  readonly outbox: Outbox;
  readonly onActivity: (activity: Activity | null) => void;
  /** Whether the hub hears what is sent. */
  readonly isConnected: () => boolean;
  /** Told when a round could not be done. */
  readonly onTrouble: (error: TributaryError) => void;
  readonly signal: AbortSignal;
  /** Seconds before a failed training is tried again. */
  readonly retrySeconds?: number;
}

export interface Rounds {
  /** Begins a round, goes on with it, or sends its update again. */
  start(message: MessageOf<'round-start'>): void;
  accepted(message: MessageOf<'update-accepted'>): void;
  refused(message: MessageOf<'update-refused'>): void;
  closed(message: MessageOf<'round-closed'>): void;
  /** Scores an aggregate on the rows that are held out, in turn with the trainings. */
  evaluate(message: MessageOf<'evaluate'>): void;
  /** Gives up what is under way for a run, such as when it has ended. */
  abandon(run: string): void;
  /** Ends what is under way for a run that a person has paused; a training after its step, to be gone on with. */
  pause(run: string): void;
  /** Sends again what still waits for an answer: the connection is new. */
  reconnected(): void;
  /** Runs work when no training is under way. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Removes blobs that are of no more use, when no training is under way. */
  tidy(): Promise<void>;
  /** Resolves when everything under way has stopped. */
  settled(): Promise<void>;
}

interface Work {
  readonly start: MessageOf<'round-start'>;
  readonly abort: AbortController;
  /** Ends a training after its step. */
  readonly pause: AbortController;
  phase: Phase | null;
  /** The round that begins after this one unless its update, which is late, counts in it. */
  next: MessageOf<'round-start'> | null;
  readonly done: Promise<void>;
  /** Wakes the work up: an answer has come, or the update must be sent again. */
  wake: (event: 'answered' | 'again') => void;
}

export function createRounds(options: RoundsOptions): Rounds {
  const { context, bulk, outbox } = options;
  const { store } = context;
  const works = new Map<string, Work>();
  const held = createHeldTensors();
  /** Aggregates that are being scored, or wait for their turn. */
  const scoring = new Set<string>();
  // One training at a time, whatever runs there are.
  let turn: Promise<void> = Promise.resolve();

  function begin(start: MessageOf<'round-start'>, next: Work['next'] = null): void {
    const { run, round, base, control = null, learningRate } = start;
    const record = store.round(run, round);
    if (record?.phase === 'refused' && record.base.hash === base.hash) return;
    if (record?.base.hash !== base.hash) {
      store.transaction('begin-round', () => {
        store.beginRound({ run, round, base, control, learning_rate: learningRate });
        const beside = control && { control: control.hash };
        store.ledger.append('round-start', { run, round, base: base.hash, ...beside, learningRate });
      });
    }
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, options.signal]);
    const work: Work = {
      ...{ start, abort, pause: new AbortController(), phase: null, next },
      wake: () => undefined,
      done: turn.then(() => perform(work, signal)).then(() => goOn(work, signal)),
    };
    turn = work.done;
    works.set(run, work);
  }

  /** Never rejects. */
  async function perform(work: Work, signal: AbortSignal): Promise<void> {
    const { run } = work.start;
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await runRound(work, signal);
          return;
        } catch (thrown) {
          const ended = [signal, work.pause.signal].find(({ aborted }) => aborted);
          const error = toTributaryError(ended ? ended.reason : thrown);
          if (error.code === 'site.superseded') return;
          context.log.warn({ run, round: work.start.round, code: error.code }, error.message);
          options.onTrouble(error);
          if (isOfThisSite(error) || (!error.retryable && attempt >= ATTEMPTS && options.isConnected())) {
            const planHash = store.run(run)?.plan_hash ?? '';
            outbox.send(declineRun(context, { run, planHash, withdraw: true }, error));
            return;
          }
          await sleep((options.retrySeconds ?? RETRY_SECONDS) * 1000, signal).catch(() => undefined);
        }
      }
    } catch (thrown) {
      options.onTrouble(toTributaryError(thrown));
    } finally {
      if (works.get(run) === work) works.delete(run);
      options.onActivity(null);
      const isOver = store.run(run)?.state !== 'approved' && store.stopped(run) !== 'paused';
      if (isOver) await rm(checkpointFolder(context, run), { recursive: true, force: true });
      await tidy();
    }
  }

  /** A late update that does not count leaves its site a round behind: that begins now. */
  function goOn({ start, next, pause }: Work, signal: AbortSignal): void {
    const { run, round } = start;
    if (next === null || signal.aborted || pause.signal.aborted || works.has(run)) return;
    if (store.run(run)?.state === 'approved' && store.round(run, round)?.phase !== 'committed') begin(next);
  }

  /** Whether the plan takes an update that is late into the next round. */
  function acceptsLate(id: string): boolean {
    const run = store.run(id);
    return run !== null && planOf(run).federation.late !== undefined;
  }

  /** Never rejects. A score that cannot be sent now is asked for again when the site is back. */
  async function score(message: MessageOf<'evaluate'>): Promise<void> {
    const { run, round } = message;
    const known = store.run(run);
    if (known === null) return;
    const { rounds } = planOf(known).federation;
    options.onActivity({ run, round, rounds, phase: 'scoring', step: 0, steps: 0, loss: null });
    try {
      outbox.send(await scoreAggregate(options, message));
    } catch (thrown) {
      if (!options.signal.aborted) options.onTrouble(toTributaryError(thrown));
    } finally {
      options.onActivity(null);
    }
  }

  /** In turn with the trainings, for an update lies on disk a moment before the database knows of it. */
  async function tidy(): Promise<void> {
    const needs = (hash: string): boolean => store.needsBlob(hash);
    const goesOn = store.runs().some(({ state }) => state === 'approved');
    await context.blobs
      .collectGarbage({ has: needs }, { goesOn })
      .then(() => held.prune(needs))
      .catch((thrown: unknown) => context.log.warn({ code: toTributaryError(thrown).code }, String(thrown)));
  }

  async function runRound(work: Work, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { run, round } = work.start;
    const record = store.round(run, round);
    const kept = record?.phase !== 'training' && record?.blob ? record : null;
    const update =
      kept?.blob && context.blobs.has(kept.blob.hash)
        ? updateOf(kept)
        : await trainRound({
            ...{ ...options, held, start: work.start, signal, pause: work.pause.signal },
            tell: reporter(work),
          });
    work.pause.signal.throwIfAborted();
    await deliver(work, update, signal);
  }

  async function deliver(work: Work, update: TrainedUpdate, signal: AbortSignal): Promise<void> {
    const { run, round } = work.start;
    const { blob, examples, loss, metrics } = update;
    const signature = sign(
      context.identity.ed25519,
      updateStatement({ run, round, hash: blob.hash, examples }),
    );
    const message: Message = { type: 'update', run, round, blob, examples, loss, metrics, signature };
    passGate(context.policies(), { kind: 'message', message }); // before the blob leaves, not after
    const tell = reporter(work);
    const counts = { step: 0, steps: 0, loss };
    for (let event = 'again'; event === 'again';) {
      tell('sending', counts);
      await bulk.use((transfers) => transfers.offer(blob), signal);
      const next = nextEvent(work, signal);
      next.catch(() => undefined); // told below, unless sending fails first
      outbox.send(message);
      tell('waiting', counts);
      event = await next;
    }
  }

  /** Tells of every step here and, not too often, to the hub. */
  function reporter(work: Work) {
    const { run, round, rounds } = work.start;
    let last = -Infinity;
    let lastPhase: Phase | undefined;
    return (phase: Phase, at: { step: number; steps: number; loss: number | null }): void => {
      const { step, steps } = at;
      const loss = at.loss !== null && Number.isFinite(at.loss) ? at.loss : null;
      work.phase = phase;
      options.onActivity({ run, round, rounds, phase, step, steps, loss });
      if (phase !== 'fetching' && phase !== 'training' && phase !== 'sending') return;
      if (phase === lastPhase && machine.now() - last < PROGRESS_MILLISECONDS) return;
      [last, lastPhase] = [machine.now(), phase];
      outbox.send({ type: 'progress', run, round, phase, step, steps, loss });
    };
  }

  return {
    start: (message) => {
      if (pauseNow(message) || declineStopped(message.run)) return;
      try {
        checkRound(context, message);
      } catch (thrown) {
        const planHash = store.run(message.run)?.plan_hash;
        options.onTrouble(toTributaryError(thrown));
        if (planHash !== undefined) {
          outbox.send(declineRun(context, { run: message.run, planHash }, thrown));
        }
        return;
      }
      const known = works.get(message.run);
      const isEnding = known?.abort.signal.aborted === true || known?.pause.signal.aborted === true;
      const present = isEnding ? undefined : known;
      if (present?.start.round === message.round && present.start.base.hash === message.base.hash) {
        present.wake('again');
        return;
      }
      if (present !== undefined && isBehind(present, message)) {
        present.next = message;
        return;
      }
      const earlier = present === undefined ? trainedBefore(message) : null;
      if (earlier !== null) {
        begin(earlier, message);
        return;
      }
      present?.abort.abort(superseded(`The hub has begun round ${message.round} of ${message.run}.`));
      begin(message);
    },
    accepted: ({ run, round, hash, state }) => {
      const record = store.round(run, round);
      if (record?.blob?.hash !== hash) return;
      const phase = state === 'late' ? 'late' : 'committed';
      if (record.phase !== phase) store.transaction('acknowledge', () => store.setPhase(run, round, phase));
      answer(run, round);
      pauseNow({ run });
    },
    refused: ({ run, round, hash, code, reason }) => {
      const record = store.round(run, round);
      if (record?.blob?.hash !== hash) return;
      store.transaction('refuse-update', () => {
        store.setPhase(run, round, 'refused');
        store.ledger.append('refusal', { run, round, hash, code, reason });
      });
      context.log.warn({ run, round, code }, reason);
      answer(run, round);
      pauseNow({ run });
    },
    closed: ({ run, round, aggregate, cohort }) => {
      const record = store.round(run, round);
      const counted = cohort.includes(store.membership()?.site ?? '');
      const mayCountLater = acceptsLate(run);
      if (mayCountLater && record === null) settleLate(run, round - 1, counted);
      if (record === null) return;
      store.transaction('close-round', () => {
        store.setAggregate(run, round, aggregate);
        // The acknowledgement was lost, the hub lost the update, or the round went on without us.
        if (record.phase === 'committed' || (record.phase === 'sending' && (counted || !mayCountLater)))
          store.setPhase(run, round, counted ? 'committed' : 'late');
      });
      const work = works.get(run);
      const isTrained = work?.phase === 'training' || work?.phase === 'sending' || work?.phase === 'waiting';
      const isKept = !counted && mayCountLater && isTrained;
      if (work?.start.round === round && !isKept)
        work.abort.abort(superseded(`Round ${round} of ${run} has closed.`));
      pauseNow({ run });
    },
    evaluate: (message) => {
      const key = `${message.run} ${message.round}`;
      if (scoring.has(key)) return;
      scoring.add(key);
      turn = turn.then(() => score(message)).finally(() => scoring.delete(key));
    },
    pause: (run) => {
      const work = works.get(run);
      const reason = superseded(`The run ${run} is paused here.`);
      if (work?.phase === 'training') work.pause.abort(reason);
      else work?.abort.abort(reason);
    },
    abandon: (run) => works.get(run)?.abort.abort(superseded(`The run ${run} has ended.`)),
    reconnected: () => {
      for (const work of works.values()) work.wake('again');
    },
    inTurn: (work) => {
      const done = turn.then(work);
      turn = done.then(
        () => undefined,
        () => undefined, // its caller learns of it
      );
      return done;
    },
    tidy: () => (turn = turn.then(tidy)),
    settled: () => turn,
  };

  /** Whether what is under way belongs to the round before one that begins, and may still count in that. */
  function isBehind({ start, phase }: Work, { run, round }: MessageOf<'round-start'>): boolean {
    const record = store.round(run, round - 1);
    const isOpen = record?.phase === 'training' || record?.phase === 'sending';
    return start.round === round - 1 && isOpen && phase !== null && phase !== 'fetching' && acceptsLate(run);
  }

  /** The round before, where its update was trained and has not been answered: a process before this one has begun it. */
  function trainedBefore(message: MessageOf<'round-start'>): MessageOf<'round-start'> | null {
    const before = acceptsLate(message.run) ? store.round(message.run, message.round - 1) : null;
    if (before?.phase !== 'sending' || !before.blob || !context.blobs.has(before.blob.hash)) return null;
    const { round, base, learning_rate: learningRate } = before;
    return { ...message, round, base, learningRate };
  }

  /** A round has closed that was not begun here: the update of the round before counted in it, or never will. */
  function settleLate(run: string, round: number, counted: boolean): void {
    const record = store.round(run, round);
    if (record?.phase === 'sending' || record?.phase === 'late') {
      store.transaction('close-round', () => store.setPhase(run, round, counted ? 'committed' : 'late'));
    }
    const work = works.get(run);
    if (work?.start.round === round) work.abort.abort(superseded(`Round ${round + 1} of ${run} has closed.`));
  }

  /** A person has stopped the run; the hub has not heard it, or has forgotten it. */
  function declineStopped(id: string): boolean {
    const run = store.run(id);
    const answer = run && declineOfStopped(store, run);
    if (answer !== null) outbox.send(answer);
    return answer !== null;
  }

  /** The round that was to be finished first is; says so to the hub. */
  function pauseNow(at: Parameters<typeof pauseAfterRound>[1]): boolean {
    const answer = pauseAfterRound(context, at);
    if (answer !== null) outbox.send(answer);
    return answer !== null;
  }

  function answer(run: string, round: number): void {
    const work = works.get(run);
    if (work?.start.round === round) work.wake('answered');
  }
}

/**
 * Whether an error comes of this site's policy, rows or model, so that trying again gives the same. The hub is told,
 * for it must not wait for an update that cannot come.
 */
function isOfThisSite({ code, retryable }: TributaryError): boolean {
  return !retryable && /^(?:policy|data|vault|template|model|adapter)\./.test(code);
}

/** What an earlier process has trained. */
function updateOf({ blob, examples, loss, metrics }: SiteRound): TrainedUpdate {
  if (blob === null || examples === null || loss === null) throw new TypeError('The round was not trained.');
  return { blob, examples, loss, metrics: metrics ?? {} };
}

function nextEvent(work: Work, signal: AbortSignal): Promise<'answered' | 'again'> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => reject(toTributaryError(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    work.wake = (event) => {
      signal.removeEventListener('abort', onAbort);
      work.wake = () => undefined;
      resolve(event);
    };
  });
}
