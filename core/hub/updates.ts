/** @file Updates as they come in: what counts, what is refused and why, and what is answered. */

import { toTributaryError, TributaryError } from '../errors.ts';
import { readShapes } from '../federation/codec.ts';
import { verify } from '../federation/identity.ts';
import type { MessageOf } from '../federation/messages.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { updateStatement } from '../federation/statements.ts';
import { partsOf } from '../federation/strategies/table.ts';
import { checkUpdate, updateForm } from '../federation/update.ts';
import type { HubContext } from './context.ts';
import { isRefusedTooOften, REFUSALS_UNTIL_EXCLUSION } from './attendance.ts';
import { approvalOf, planOf } from './proposals.ts';
import { isAsked } from './steps.ts';
import type { Answer, Contribution, RoundRecord, RunRecord } from './records.ts';
import { placeOfLate } from './late.ts';

/** Each part of an update is as long as its base, but for the order and spacing of its header. */
const HEADER_BYTES = 65_536;

/** What became of an update: counted, waiting for its blob or for the next round, or answered with a refusal. */
export type Outcome = 'committed' | 'waiting' | 'held' | 'answered';

/** Takes a site's update. Never throws for what a site may do wrong. */
export function takeUpdate(hub: HubContext, site: string, message: MessageOf<'update'>): Outcome {
  const { runs, outbox, blobs } = hub;
  const { run: id, round: number, blob } = message;
  const answer = (state: 'committed' | 'duplicate' | 'late'): void => {
    outbox.send(site, { type: 'update-accepted', run: id, round: number, hash: blob.hash, state });
  };
  const run = runs.run(id);
  const approval = run && approvalOf(hub, id, site);
  if (run === null || approval === null) {
    refuse(hub, site, message, new TributaryError('update.not-approved', `${site} takes no part in ${id}.`));
    return 'answered';
  }
  if ([number, number + 1].some((at) => isCounted(runs.contribution(id, at, site), message))) {
    answer('duplicate');
    return 'answered';
  }
  const own = runs.round(id, number);
  const isLate = own === null || run.state !== 'running' || own.phase !== 'collecting';
  const round = isLate && own !== null ? placeOfLate(hub, { run, number, site }) : own;
  if (round === 'held') return 'held';
  if (round === null) {
    answer('late');
    return 'answered';
  }
  const before = runs.contribution(id, round.number, site);
  const late = isLate ? { round: number, base: own?.base.hash ?? '' } : null;
  if (!isLate && !isAsked(round, site)) {
    refuse(
      hub,
      site,
      message,
      new TributaryError('update.not-asked', `Round ${number} does not ask ${site}.`),
    );
    return 'answered';
  }
  const objection = objectionTo(hub, { site, message, approval, committed: before?.state === 'committed' });
  if (objection !== null) {
    refuse(hub, site, message, objection);
    // A second update after the first leaves the first in place; after a late one the site may send a better one.
    if (before?.state !== 'committed' && !isLate) remember(hub, { site, message, round, error: objection });
    return 'answered';
  }
  if (!blobs.has(blob.hash)) return 'waiting';
  try {
    const shapes = readShapes(blobs.path(round.base.hash));
    checkUpdate(blobs.path(blob.hash), shapes, updateForm(planOf(run), number));
  } catch (thrown) {
    const error = toTributaryError(thrown);
    if (!error.code.startsWith('update.')) throw thrown;
    if (!isLate) remember(hub, { site, message, round, error });
    refuse(hub, site, message, error);
    return 'answered';
  }
  commit(hub, { site, message, round, late });
  answer('committed');
  hub.emit({ type: 'update', run: id, round: round.number, site, ...(late && { late: number }) });
  return 'committed';
}

/** Whether this very update counts already; a late one does so in the round after its own. */
function isCounted(found: Contribution | null, { round, blob }: MessageOf<'update'>): boolean {
  if (found?.state !== 'committed' || found.hash !== blob.hash) return false;
  return found.late === null || found.late.round === round;
}

function objectionTo(
  hub: HubContext,
  submission: { site: string; message: MessageOf<'update'>; approval: Answer; committed: boolean },
): TributaryError | null {
  const { site, message, approval, committed } = submission;
  const { run, round, blob, examples, signature } = message;
  const key = hub.members.find(site)?.ed25519;
  if (
    key === undefined ||
    !verify(key, updateStatement({ run, round, hash: blob.hash, examples }), signature)
  ) {
    return new TributaryError(
      'identity.bad-signature',
      `The update of round ${round} is not signed by ${site}.`,
    );
  }
  if (committed) {
    const what = `${site} has sent another update for round ${round} before, which counts.`;
    return new TributaryError('update.already-committed', what);
  }
  if (approval.examples !== null && examples > approval.examples) {
    const what = `${site} claims ${examples} examples but approved the plan with ${approval.examples}.`;
    return new TributaryError('update.examples', what);
  }
  return null;
}

interface Submission {
  readonly site: string;
  readonly message: MessageOf<'update'>;
  /** The round that it counts in. */
  readonly round: RoundRecord;
}

function commit(
  hub: HubContext,
  { site, message, round, late }: Submission & Pick<Contribution, 'late'>,
): void {
  const { runs, store, outbox } = hub;
  const { blob, examples, loss, metrics, signature } = message;
  const traffic = outbox.traffic(site);
  store.transition('commit-update', () => {
    const accepted = { site, state: 'committed' as const, hash: blob.hash, examples, loss };
    runs.putContribution(round, { ...accepted, metrics, code: null, reason: null, late });
    runs.addTraffic(round, traffic);
    runs.dropOffer(site); // from here on the contribution keeps the blob
    store.ledger.append('update', {
      site,
      run: round.run,
      // The site signs the round that it was trained in.
      round: message.round,
      ...(late && { countedIn: round.number }),
      hash: blob.hash,
      examples,
      loss,
      signature: Buffer.from(signature).toString('base64url'),
    });
  });
  outbox.settleTraffic(traffic);
}

/**
 * Leaves the site out of this round and says so in the ledger; one refusal too many excludes it from the run, until
 * its people approve the run again.
 */
function remember(
  hub: HubContext,
  { site, message, round, error }: Submission & { error: TributaryError },
): void {
  const { runs, store } = hub;
  const { code, message: reason } = error;
  const excluded = store.transition('refuse-update', () => {
    const refused = { site, state: 'refused' as const, hash: message.blob.hash, code, reason };
    runs.putContribution(round, { ...refused, examples: null, loss: null, metrics: null, late: null });
    store.ledger.append('refusal', { site, run: round.run, round: round.number, code, reason });
    if (!isRefusedTooOften(hub, round, site)) return null;
    const why = `its updates of ${REFUSALS_UNTIL_EXCLUSION} rounds were refused, the last one because: ${reason}`;
    const exclusion = { code: 'site.excluded', reason: why };
    runs.putAnswer(round.run, { site, approved: false, examples: null, ...exclusion });
    store.ledger.append('refusal', { site, run: round.run, ...exclusion });
    return why;
  });
  if (excluded === null) return;
  const { run, number } = round;
  hub.emit({ type: 'excluded', run, site, reason: excluded });
  hub.outbox.send(site, exclusionNotice(run, number, excluded));
}

/** What an excluded site is told. */
export function exclusionNotice(run: string, round: number, reason: string): MessageOf<'run-notice'> {
  const what = `The hub has excluded this site from ${run}: ${reason}`.slice(0, 2000);
  return { type: 'run-notice', run, round, kind: 'excluded', reason: what };
}

function refuse(hub: HubContext, site: string, message: MessageOf<'update'>, error: TributaryError): void {
  const { run, round, blob } = message;
  const { code, message: reason } = error;
  hub.log.warn({ site, run, round, code }, reason);
  hub.emit({ type: 'refused', run, round, site, code, reason });
  hub.outbox.send(site, {
    type: 'update-refused',
    run,
    round,
    hash: blob.hash,
    code,
    reason: reason.slice(0, 2000),
  });
}

/** Lets a site send a blob that may become its update, and no other. Throws `transfer.refused` or `transfer.too-large`. */
export function acceptOffer(hub: HubContext, site: string, offer: BlobReference): void {
  const { runs, store, blobs } = hub;
  const open = openRounds(hub, site);
  if (open.length === 0) {
    if (blobs.size(offer.hash) === offer.size) return; // sent again after a lost answer
    throw new TributaryError('transfer.refused', `Nothing is expected of ${site} at the moment.`);
  }
  const longest = Math.max(...open.map(longestUpdate));
  if (offer.size > longest) {
    const what = `${offer.size} bytes were offered; an update has at most ${longest}.`;
    throw new TributaryError('transfer.too-large', what);
  }
  const before = runs.offerOf(site);
  if (before?.hash === offer.hash) return;
  store.transition('offer', () => runs.putOffer(site, offer));
  hub.keep.add(offer.hash);
}

function longestUpdate({ run, round }: { run: RunRecord; round: RoundRecord }): number {
  const parts = partsOf(planOf(run).federation.strategy).length;
  return parts * round.base.size + (parts + 1) * HEADER_BYTES;
}

/** Rounds that collect updates and lack the site's, and those before whose end a late one may come. */
export function openRounds(hub: HubContext, site: string): { run: RunRecord; round: RoundRecord }[] {
  const { runs } = hub;
  return runs.runs().flatMap((run) => {
    if (run.state !== 'running' || approvalOf(hub, run.id, site) === null) return [];
    const round = runs.currentRound(run.id);
    if (round === null) return [];
    const mayBeLate = planOf(run).federation.late !== undefined;
    if (!mayBeLate && (round.phase !== 'collecting' || !isAsked(round, site))) return [];
    const sent = runs.contribution(run.id, round.number, site);
    return sent?.state === 'committed' ? [] : [{ run, round }];
  });
}
