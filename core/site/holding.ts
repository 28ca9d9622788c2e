/**
 * @file A person's no: a run that is declined, paused or given up at this site, now or once the round under way is over.
 * It is remembered, so that neither the standing approval nor a hub that asks again takes the run up; an approval ends it.
 */

import { TributaryError } from '../errors.ts';
import type { Message } from '../federation/messages.ts';
import type { SiteContext } from './context.ts';
import type { SiteRun } from './store.ts';

/** How a run may be held at once. */
export type Hold = 'paused' | 'declined' | 'discarded';

const REASONS: Readonly<Record<Hold, string>> = {
  paused: 'This site has paused the run.',
  declined: 'This site has declined the run.',
  discarded: 'This site has left the run.',
};

/**
 * Holds a run and says so to the hub, with a person's reason where there is one.
 * @throws TributaryError `site.unknown-run` for a run that is not known or is over
 */
export function holdRun(context: SiteContext, id: string, hold: Hold, said = ''): Message {
  const run = requireOpen(context, id);
  const reason = said === '' ? REASONS[hold] : said;
  context.store.transaction('hold', () => {
    context.store.setHeld(id, hold);
    context.store.setRun(id, 'declined', reason);
    context.store.ledger.append('refusal', { run: id, code: `site.${hold}`, reason });
  });
  return toHub({ ...run, reason }, hold);
}

/** Holds a run once its round is closed. @throws TributaryError as `holdRun` */
export function finishRound(context: SiteContext, id: string): void {
  const { state } = requireOpen(context, id);
  if (state !== 'approved')
    throw new TributaryError('site.unknown-run', `The run ${id} is not under way here.`);
  context.store.transaction('hold', () => context.store.setHeld(id, 'finishing'));
}

/** Pauses a run that was to finish its round, or null where it was not. */
export function pauseFinished(context: SiteContext, id: string): Message | null {
  return context.store.run(id)?.held === 'finishing' ? holdRun(context, id, 'paused') : null;
}

/** What a hub that asks again is told of a run that is held; null for others. */
export function answerHeld(run: SiteRun): Message | null {
  return run.held === null || run.held === 'finishing' ? null : toHub(run, run.held);
}

function toHub({ run, plan_hash: planHash, reason }: SiteRun, hold: Hold): Message {
  return { type: 'decline', run, planHash, code: `site.${hold}`, reason: reason.slice(0, 2000) };
}

function requireOpen({ store }: SiteContext, id: string): SiteRun {
  const run = store.run(id);
  if (run === null) throw new TributaryError('site.unknown-run', `The run ${id} is not known here.`);
  if (['completed', 'failed', 'cancelled'].includes(run.state))
    throw new TributaryError('site.unknown-run', `The run ${id} has ended (${run.state}).`);
  return run;
}
