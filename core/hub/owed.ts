/** @file What a site that has just connected must be told, and its word on the ledger. */

import { TributaryError } from '../errors.ts';
import { verify } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { countersignStatement } from '../federation/statements.ts';
import type { HubContext } from './context.ts';
import { roundStart } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { amendmentOf, pauseNotice } from './run-control.ts';
import { isAsked, notDrawn, runEnded } from './steps.ts';
import { exclusionNotice } from './updates.ts';

/** Runs that ended before the last so many are not told again. */
const REMEMBERED_RUNS = 10;

/** Everything the site may have missed, in the order it happened. All of it may be heard twice. */
export function owedTo(hub: HubContext, site: string, seconds: (round: RoundRecord) => number): Message[] {
  return hub.runs
    .runs()
    .slice(-REMEMBERED_RUNS)
    .flatMap((run) => owedOfRun(hub, { site, run, seconds }));
}

interface Debt {
  readonly site: string;
  readonly run: RunRecord;
  readonly seconds: (round: RoundRecord) => number;
}

function owedOfRun(hub: HubContext, { site, run, seconds }: Debt): Message[] {
  const { runs } = hub;
  const answer = runs.answer(run.id, site);
  const isOpen = run.state === 'proposed' || run.state === 'running';
  const current = runs.currentRound(run.id);
  if (answer === null) {
    const { id, plan, planHash } = run;
    return isOpen ? [{ type: 'proposal', run: id, plan, planHash }] : [];
  }
  if (!answer.approved) {
    // A site that paused hears of the end that it missed; one that declined has nothing to do with the run.
    const end = answer.code === 'site.paused' ? runEnded(run.id, run.state, run.reason, run.adapter) : null;
    if (end !== null) return [end];
    const isExcluded = isOpen && answer.code === 'site.excluded';
    return isExcluded ? [exclusionNotice(run.id, current?.number ?? 0, answer.reason ?? '')] : [];
  }
  const messages: Message[] = [];
  const closed = current?.aggregate ? current : runs.round(run.id, (current?.number ?? 0) - 1);
  if (closed !== null) messages.push(...roundClosed(hub, site, closed));
  if (run.state === 'running' && current !== null)
    messages.push(...owedOfRound(hub, { site, run, seconds }, current));
  if (isOpen) messages.push(...amendmentOf(hub, site, run));
  if (isOpen && run.paused !== null) messages.push(pauseNotice(run, current?.number ?? 0, run.paused));
  const end = runEnded(run.id, run.state, run.reason, run.adapter);
  if (end !== null) messages.push(end);
  return messages;
}

/** What the round under way wants of a site. */
function owedOfRound({ runs }: HubContext, { site, run, seconds }: Debt, round: RoundRecord): Message[] {
  const about = { run: run.id, round: round.number };
  if (round.phase === 'scoring' && round.scorers?.includes(site) && round.aggregate !== null) {
    const adapter = runs.weightsOf(run.id, round.number + 1) ?? round.aggregate;
    const scored = runs.scores(run.id, round.number).some((entry) => entry.site === site);
    return scored ? [] : [{ type: 'evaluate', ...about, adapter }];
  }
  if (round.phase !== 'collecting') return [];
  const sent = runs.contribution(run.id, round.number, site);
  if (sent?.state === 'refused') {
    const { hash, code, reason } = sent;
    return [{ type: 'update-refused', ...about, hash, code: code ?? '', reason: reason ?? '' }];
  }
  if (sent !== null) {
    const { late, hash } = sent;
    // Its site believes the update lost with the round, unless it has heard.
    return late
      ? [{ type: 'update-accepted', run: run.id, round: late.round, hash, state: 'committed' }]
      : [];
  }
  return [isAsked(round, site) ? roundStart(run, round, seconds(round)) : notDrawn(run, round)];
}

/** The end of a round, unless the site has countersigned it and so knows it. */
function roundClosed(hub: HubContext, site: string, round: RoundRecord): Message[] {
  const { aggregate, loss, ledgerIndex, cohort } = round;
  if (aggregate === null || loss === null || ledgerIndex === null || cohort === null) return [];
  const hash = hub.store.ledger.hashAt(ledgerIndex);
  if (hash === null || hub.runs.isCountersigned(ledgerIndex, site)) return [];
  return [
    {
      type: 'round-closed',
      run: round.run,
      round: round.number,
      aggregate,
      cohort: [...cohort],
      loss,
      ledgerEntry: { index: ledgerIndex, hash },
    },
  ];
}

/**
 * Takes a site's countersignature of a round's aggregate. Throws `ledger.disagreement` if the site has seen
 * another entry there, and `identity.bad-signature`.
 */
export function takeCountersignature(hub: HubContext, site: string, message: MessageOf<'countersign'>): void {
  const { runs, store, members } = hub;
  const { index, hash, signature } = message;
  // Only aggregates are countersigned; anything else would let a site grow the ledger at will.
  if (!runs.isAggregate(index) || runs.isCountersigned(index, site)) return;
  if (store.ledger.hashAt(index) !== hash) {
    throw new TributaryError('ledger.disagreement', `${site} has seen another entry ${index} of the ledger.`);
  }
  const key = members.find(site)?.ed25519;
  if (key === undefined || !verify(key, countersignStatement({ index, hash }), signature)) {
    throw new TributaryError('identity.bad-signature', `${site} did not sign entry ${index} of the ledger.`);
  }
  store.transition('countersign', () => {
    runs.addCountersignature(index, site);
    const text = Buffer.from(signature).toString('base64url');
    store.ledger.append('countersign', { site, index, hash, signature: text });
  });
}
