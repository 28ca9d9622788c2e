/**
 * @file Rehearsals of plans that are no runs yet: sites measure them, and the hub forecasts the run. What was asked and
 * answered is in the ledger; what a forecast needs besides is kept in memory, for it can be measured again.
 */

import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import type { MessageOf } from '../federation/messages.ts';
import { encodePlan, planHash } from '../federation/plan.ts';
import type { Plan } from '../federation/plan.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import type { HubContext } from './context.ts';
import { checkLength, identifier } from './proposals.ts';

export type RehearsalAnswer = Omit<MessageOf<'rehearsed'>, 'type' | 'rehearsal' | 'planHash'>;

export interface Rehearsal {
  readonly id: string;
  readonly plan: Plan;
  readonly planHash: string;
  readonly configuration: ModelConfiguration;
  /** When it began, in milliseconds of the machine's clock, and how many runs there were then. */
  readonly begun: { readonly at: number; readonly runs: number };
  /** When each site was asked last, in milliseconds of the machine's clock, while it has not answered. */
  readonly asked: Map<string, number>;
  readonly answers: Map<string, RehearsalAnswer>;
}

/** Rehearsals of which the answers are kept. */
const REMEMBERED = 10;
/** How long sites that come are asked: a week. */
const ASKED_MILLISECONDS = 7 * 24 * 3600 * 1000;

/** Asks all sites that are here, and those that come later, to measure a plan. Throws `plan.invalid`. */
export function rehearse(
  hub: HubContext,
  plan: Plan,
  configuration: ModelConfiguration,
): { rehearsal: string; planHash: string } {
  checkLength(plan, configuration);
  const { store, rehearsals } = hub;
  const hash = planHash(plan);
  // The position in the ledger is never taken twice.
  const number = (store.ledger.head()?.index ?? 0) + 1;
  const id = identifier(`${plan.name.slice(0, 20)}-rehearsal`, number);
  const rehearsal: Rehearsal = {
    ...{ id, plan, planHash: hash, configuration },
    begun: { at: machine.now(), runs: hub.runs.countRuns() },
    ...{ asked: new Map(), answers: new Map() },
  };
  store.transition('rehearse', () => {
    store.ledger.append('rehearsal', { rehearsal: id, planHash: hash, plan: encodePlan(plan) });
  });
  rehearsals.set(id, rehearsal);
  for (const old of [...rehearsals.keys()].slice(0, -REMEMBERED)) rehearsals.delete(old);
  for (const { site, revoked } of hub.members.all()) {
    if (revoked !== null || !hub.outbox.presence(site).connected) continue;
    for (const message of owedRehearsals(hub, site)) {
      if (message.rehearsal === id) hub.outbox.send(site, message);
    }
  }
  return { rehearsal: id, planHash: hash };
}

/** What a site that has just connected, or is asked for the first time, has not answered for good. */
export function owedRehearsals(hub: HubContext, site: string): MessageOf<'rehearse'>[] {
  return [...hub.rehearsals.values()].flatMap((rehearsal) => {
    const { id, plan, planHash: hash, asked, answers } = rehearsal;
    if (isOver(hub, rehearsal)) return [];
    const answer = answers.get(site);
    if (answer?.state === 'measured' || answer?.state === 'refused') return [];
    asked.set(site, machine.now());
    return [{ type: 'rehearse' as const, rehearsal: id, plan: encodePlan(plan), planHash: hash }];
  });
}

/** Whether there is nothing to forecast any more: its plan has begun or was withdrawn since, or it was long ago. */
function isOver({ runs }: HubContext, { planHash: hash, begun }: Rehearsal): boolean {
  const since = runs.runs().slice(begun.runs);
  if (since.some((run) => run.planHash === hash && run.state !== 'proposed')) return true;
  return machine.now() - begun.at > ASKED_MILLISECONDS;
}

/** Takes what a site says. Whatever it says of a plan that it was not asked about is left. */
export function takeRehearsed(hub: HubContext, site: string, message: MessageOf<'rehearsed'>): void {
  const { rehearsal: id, planHash: hash, state, reason, parts, measured } = message;
  const rehearsal = hub.rehearsals.get(id);
  if (rehearsal?.planHash !== hash) return;
  const before = rehearsal.answers.get(site);
  if (before?.state === 'measured' || before?.state === 'refused') return;
  if (state === 'measured' || state === 'refused') {
    hub.store.transition('rehearsed', () => {
      const said = { rehearsal: id, planHash: hash, site, state, reason, parts };
      hub.store.ledger.append('rehearsal', { ...said, ...(measured && { measured }) });
    });
  }
  rehearsal.answers.set(site, { state, reason, parts, ...(measured && { measured }) });
  hub.emit({ type: 'rehearsed', rehearsal: id, site, state, reason });
}

/** Throws `rehearsal.unknown`. */
export function requireRehearsal({ rehearsals }: HubContext, id: string): Rehearsal {
  const found = rehearsals.get(id);
  if (found !== undefined) return found;
  throw new TributaryError('rehearsal.unknown', `The hub knows no rehearsal ${id}.`);
}
