/**
 * @file A plan's rehearsal at a site: whether its rows fit, and what memory and time its steps take here. No adapter is
 * changed, and what leaves are the parts of the data contract that do not fit and a few figures. A person has to
 * approve it as a run; the standing approval covers it.
 */

import { toTributaryError, TributaryError } from '../errors.ts';
import { planAtSite } from '../federation/local-steps.ts';
import type { MessageOf } from '../federation/messages.ts';
import { openPlan } from '../federation/plan.ts';
import type { Plan } from '../federation/plan.ts';
import { ContractRefusal } from './contract.ts';
import type { FederationContext, Outbox } from './context.ts';
import { reasonForHub } from './disclosure.ts';
import { readExamples } from './examples.ts';
import { passGate } from './policy.ts';
import type { RoundTrainer } from './trainer.ts';

type Asked = MessageOf<'rehearse'>;
type Answer = MessageOf<'rehearsed'>;

/** Rehearsals that a site remembers; a hub that asks for an older one again has it measured again. */
const REMEMBERED = 20;

export interface Rehearsals {
  /** Answers a hub; whatever takes long comes in turn with the trainings. */
  take(message: Asked): void;
  /** Looks again at those that wait for a person. */
  reconsider(): void;
  /** A plan has begun or ended as a run: whoever has not agreed to measure it is asked no more. */
  end(planHash: string): void;
  /** Those that wait for a person, oldest first. */
  readonly waiting: () => readonly WaitingRehearsal[];
  /** Says no to one that waits, with a person's reason. Throws `site.unknown-run`. */
  readonly decline: (rehearsal: string, reason: string) => void;
}

export interface WaitingRehearsal {
  readonly rehearsal: string;
  readonly planHash: string;
  readonly plan: Plan;
}

export interface RehearsalsOptions {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly outbox: Outbox;
  readonly signal: AbortSignal;
  /** Runs the work when no training is under way. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  /** Told of each step, and null at the end. */
  readonly onStep: (
    at: { readonly rehearsal: string; readonly plan: Plan; readonly step: number } | null,
  ) => void;
}

export function createRehearsals(options: RehearsalsOptions): Rehearsals {
  const { context, trainer, outbox, signal, inTurn } = options;
  const known = new Map<string, { readonly asked: Asked; answer: Answer }>();

  /** The hub may have missed it, and hears it again when it asks again. */
  function answer(asked: Asked, said: Pick<Answer, 'state'> & Partial<Answer>): void {
    const { rehearsal, planHash } = asked;
    const message: Answer = { type: 'rehearsed', rehearsal, planHash, reason: '', parts: [], ...said };
    known.set(rehearsal, { asked, answer: message });
    for (const id of [...known.keys()].slice(0, Math.max(0, known.size - REMEMBERED))) known.delete(id);
    if (message.state === 'measured' || message.state === 'refused') record(context, message);
    outbox.send(message);
  }

  function consider(asked: Asked): void {
    try {
      const plan = openPlan(asked.plan, asked.planHash);
      passGate(context.policies(), { kind: 'rehearsal', plan });
      const dataset = context.store.approvedDataset(asked.rehearsal);
      if (dataset === null) {
        answer(asked, { state: 'waiting', reason: 'A person at this site has to approve it first.' });
        return;
      }
      answer(asked, { state: 'measuring' });
      void inTurn(() => measure(asked, plan, dataset));
    } catch (thrown) {
      refuse(asked, thrown);
    }
  }

  /** Never rejects. */
  async function measure(asked: Asked, plan: Plan, dataset: string): Promise<void> {
    const { rehearsal } = asked;
    try {
      if (trainer.rehearse === undefined) throw new TypeError('This trainer measures nothing.');
      signal.throwIfAborted();
      const { examples } = readExamples(context.vault, dataset, plan);
      const { name } = context.vault.dataset(dataset);
      passGate(context.policies(), { kind: 'dataset', dataset: name, examples: examples.length });
      options.onStep({ rehearsal, plan, step: 0 });
      const { steps } = planAtSite(plan, examples.length).training;
      const onStep = (step: number): void => options.onStep({ rehearsal, plan, step });
      const probe = await trainer.rehearse({ plan, examples, signal, onStep });
      answer(asked, {
        state: 'measured',
        measured: { ...probe, examples: examples.length, steps },
      });
    } catch (thrown) {
      if (!signal.aborted) refuse(asked, thrown);
    } finally {
      options.onStep(null);
    }
  }

  function refuse(asked: Asked, thrown: unknown): void {
    const error = toTributaryError(thrown);
    context.log.warn({ rehearsal: asked.rehearsal, code: error.code }, error.message);
    const parts = error instanceof ContractRefusal ? [...error.parts] : [];
    answer(asked, { state: 'refused', reason: reasonForHub(error), parts });
  }

  return {
    take: (message) => {
      const before = known.get(message.rehearsal);
      if (before === undefined || before.answer.state === 'waiting') consider(message);
      else outbox.send(before.answer);
    },
    reconsider: () => {
      for (const { asked, answer: before } of known.values()) if (before.state === 'waiting') consider(asked);
    },
    end: (planHash) => {
      for (const [id, { asked, answer: before }] of known)
        if (before.state === 'waiting' && asked.planHash === planHash) known.delete(id);
    },
    decline: (rehearsal, reason) => {
      const found = known.get(rehearsal);
      if (found?.answer.state !== 'waiting') {
        throw new TributaryError('site.unknown-run', `The rehearsal ${rehearsal} does not wait here.`);
      }
      answer(found.asked, { state: 'refused', reason: reason || 'The site has declined this rehearsal.' });
    },
    waiting: () =>
      [...known.values()].flatMap(({ asked, answer: { state } }) =>
        state === 'waiting' ? [{ ...asked, plan: openPlan(asked.plan, asked.planHash) }] : [],
      ),
  };
}

/** Approves one rehearsal with a dataset. Throws `vault.unknown-dataset`, and `policy.*` where it is not allowed. */
export function approveRehearsal(
  { store, vault, policies }: FederationContext,
  { rehearsal, planHash, plan }: WaitingRehearsal,
  dataset: string,
): void {
  passGate(policies(), { kind: 'rehearsal', plan });
  const { name, reference, rows: examples } = vault.dataset(dataset);
  passGate(policies(), { kind: 'dataset', dataset: name, examples });
  store.transaction('approve', () => {
    store.approve(rehearsal, reference);
    store.ledger.append('approval', { run: rehearsal, planHash, dataset: reference });
  });
}

function record(
  { store }: FederationContext,
  { rehearsal, planHash, state, reason, parts, measured }: Answer,
): void {
  store.transaction('rehearse', () =>
    store.ledger.append('rehearsal', {
      ...{ rehearsal, planHash, state, reason, parts },
      ...(measured && { measured }),
    }),
  );
}
