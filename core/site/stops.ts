/** @file What a person stops at a site: at once, after the round under way, or for good; and going on. */

import { TributaryError } from '../errors.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import type { FederationContext } from './context.ts';
import type { FederationStore } from './federation-store.ts';
import type { SiteRun, Stop } from './tables.ts';

/** What a person may ask; `save` pauses at once, `discard` and `decline` leave the run. */
export type StopRequest = 'finish-round' | 'save' | 'discard' | 'decline';

const STOPPED: Readonly<Record<Exclude<StopRequest, 'finish-round'>, Exclude<Stop, 'finishing'>>> = {
  save: 'paused',
  discard: 'discarded',
  decline: 'declined',
};

/**
 * Stops a run, by one transaction; a standing approval does not start it again. Returns what to tell the hub, or null
 * where the round under way is finished first. Throws `site.unknown-run`.
 */
export function stopRun(
  context: FederationContext,
  { run: id, how, reason = '' }: { run: string; how: StopRequest; reason?: string },
): Message | null {
  const { store } = context;
  const run = store.run(id);
  if (run === null || !isOpen(run)) {
    const what = run === null ? 'is not known here' : `has ended (${run.state})`;
    throw new TributaryError('site.unknown-run', `The run ${id} ${what}.`);
  }
  if ((how === 'finish-round' || how === 'save') && run.dataset === null) {
    throw new TributaryError(
      'site.unknown-run',
      `The run ${id} was not approved here, so it cannot be paused.`,
    );
  }
  if (how === 'finish-round' && run.state === 'approved' && isRoundOpen(store, id)) {
    store.transaction('stop-run', () => store.setStopped(id, 'finishing'));
    return null;
  }
  const stop = how === 'finish-round' ? 'paused' : STOPPED[how];
  return enter(context, run, stop, reason);
}

/** Pauses a run of which only the round under way was to be finished, once it is. Null where nothing changes. */
export function pauseAfterRound(
  context: FederationContext,
  { run: id, round }: Pick<MessageOf<'round-start'>, 'run'> & { readonly round?: number },
): Message | null {
  const { store } = context;
  const run = store.run(id);
  if (run?.state !== 'approved' || store.stopped(id) !== 'finishing' || isRoundOpen(store, id, round)) {
    return null;
  }
  return enter(context, run, 'paused', '');
}

/** The answer that the hub was, or was to be, given of a run that a person has stopped; null where nobody has. */
export function declineOfStopped(store: FederationStore, run: SiteRun): Message | null {
  const stop = store.stopped(run.run);
  if (stop === null || stop === 'finishing') return null;
  const { run: id, plan_hash: planHash, reason } = run;
  return { type: 'decline', run: id, planHash, code: CODES[stop], reason };
}

/** What the hub tells apart: a site that may be back at any time, and one that will not. */
const CODES: Readonly<Record<Exclude<Stop, 'finishing'>, string>> = {
  paused: 'site.paused',
  discarded: 'site.declined',
  declined: 'site.declined',
};

const REASONS: Readonly<Record<Exclude<Stop, 'finishing'>, string>> = {
  paused: 'The site has paused this run and may go on at any time.',
  discarded: 'The site has given this run up.',
  declined: 'The site has declined this run.',
};

function enter(
  { store, log }: FederationContext,
  { run, state, reason: before }: SiteRun,
  stop: Exclude<Stop, 'finishing'>,
  words: string,
): Message | null {
  const reason = words === '' ? REASONS[stop] : words;
  log.info({ run, stop }, reason);
  store.transaction('stop-run', () => {
    if (stop === 'discarded') store.discardRounds(run);
    store.setStopped(run, stop);
    store.setRun(run, 'declined', reason);
    if (state !== 'declined' || before !== reason)
      store.ledger.append('refusal', { run, code: CODES[stop], reason });
  });
  const stopped = store.run(run);
  return stopped && declineOfStopped(store, stopped);
}

/** Whether an update of the last round is still to be made or acknowledged; of `round` where one is asked for. */
function isRoundOpen(store: FederationStore, run: string, round?: number): boolean {
  const last = store.lastRound(run);
  if (last === null || (last.phase !== 'training' && last.phase !== 'sending')) return false;
  return round === undefined || last.round === round;
}

function isOpen({ state }: SiteRun): boolean {
  return state === 'proposed' || state === 'approved' || state === 'declined';
}
