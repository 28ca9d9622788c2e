/** @file Brings the adapter of a run that has ended to this site and keeps it for people, however long that takes. */

import { toTributaryError } from '../errors.ts';
import type { TributaryError } from '../errors.ts';
import type { Published } from '../federation/broadcast.ts';
import type { Plan } from '../federation/plan.ts';
import { clientOf } from '../federation/strategies/table.ts';
import { sleep } from '../machine.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Bulk } from './bulk.ts';
import { readCarried } from './carried.ts';
import type { FederationContext } from './context.ts';
import { adapterAtSite } from './outcome.ts';
import { ownCopyOf, trainOwnCopy } from './own-copy.ts';
import { planOf } from './proposals.ts';
import { fetchPublished } from './published.ts';
import type { Rounds } from './rounds.ts';
import type { SiteRun } from './tables.ts';
import type { RoundTrainer } from './trainer.ts';

export interface FinalAdaptersOptions {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly bulk: Bulk;
  readonly rounds: Pick<Rounds, 'inTurn' | 'tidy'>;
  /** Writes an adapter where people find it, once it lies verified in the blob store. */
  readonly saveAdapter?: (run: string, plan: Plan, tensors: NamedTensors) => Promise<void>;
  /** Told when an adapter could not be had or kept, and null when it can again. */
  readonly onTrouble: (error: TributaryError | null) => void;
  readonly onSaved: () => void;
  /** Seconds before it is tried again where that may help. */
  readonly retrySeconds?: number;
  readonly signal: AbortSignal;
}

export interface FinalAdapters {
  /** Fetches the adapter of a completed run unless it is here or on its way, and keeps it. */
  keep(run: string): void;
}

const RETRY_SECONDS = 5;
/** What is carried on from the last round that counted. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

export function createFinalAdapters(options: FinalAdaptersOptions): FinalAdapters {
  const { context, bulk, rounds, onTrouble, signal } = options;
  const { store, log } = context;
  const underWay = new Set<string>();

  /** Never rejects. What may pass, such as a full disk, is waited for: the hub does not tell of the end again. */
  async function keep(run: SiteRun, adapter: Published): Promise<void> {
    for (let hasFailed = false; !signal.aborted; hasFailed = true) {
      try {
        await fetchAndSave(run, adapter, () => {
          if (hasFailed) onTrouble(null);
        });
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toTributaryError(thrown);
        log.warn({ run: run.run, code: error.code }, error.message);
        onTrouble(error);
        if (!error.retryable) return;
        await sleep((options.retrySeconds ?? RETRY_SECONDS) * 1000, signal).catch(() => undefined);
      }
    }
  }

  async function fetchAndSave(run: SiteRun, adapter: Published, onWritten: () => void): Promise<void> {
    const id = run.run;
    const plan = planOf(run);
    const published = await fetchPublished({ context, bulk }, adapter, signal);
    const carried = await readCarried(context, id, { round: AFTER_ALL, only: ['adapter', 'own'] });
    const tensors = adapterAtSite(published, carried);
    await options.saveAdapter?.(id, plan, tensors);
    onWritten();
    await saveOwnCopy(id, plan, tensors);
    store.transaction('save-adapter', () => store.setSaved(id));
    await rounds.tidy();
    options.onSaved();
  }

  /** Trains and keeps the site's own copy where the plan has one; a failure costs that copy and nothing else. */
  async function saveOwnCopy(id: string, plan: Plan, base: NamedTensors): Promise<void> {
    if (plan.personal === undefined) return;
    try {
      const work = { context, trainer: options.trainer, signal };
      const own = await rounds.inTurn(() => trainOwnCopy(work, { run: id, plan, base }));
      if (own !== null) await options.saveAdapter?.(ownCopyOf(id), plan, own);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toTributaryError(thrown);
      log.warn({ run: id, code: error.code }, `The own copy was not trained: ${error.message}`);
      onTrouble(error);
    }
  }

  return {
    keep: (id) => {
      const run = store.run(id);
      const whole = run?.adapter ?? null;
      if (run === null || whole === null || run.saved === 1 || underWay.has(id)) return;
      underWay.add(id);
      const adapter = { ...whole, ...(run.adapter_delta && { delta: run.adapter_delta }) };
      void keep(run, adapter).finally(() => underWay.delete(id));
    },
  };
}

/** The adapter that a run leaves at this site: the hub's, or the site's own where every site trains alone. */
export function finalAdapterOf(
  { store }: Pick<FederationContext, 'store'>,
  run: SiteRun,
  adapter: Published | null,
): Published | null {
  if (adapter === null || clientOf(planOf(run).federation.strategy) !== 'alone') return adapter;
  return store.carriedInto(run.run, AFTER_ALL).adapter ?? null;
}
