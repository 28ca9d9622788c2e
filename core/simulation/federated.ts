/**
 * @file A federated run without a network: every site trains in turn in one warm process, and rounds are closed by the
 * hub's own code over blobs on disk. The adapter is that of a real run of the same plan, sites and rows, bit for bit.
 */

import { TributaryError } from '../errors.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { encodeTensors, encodeUpdate, readTensors } from '../federation/codec.ts';
import { metricsOfCohort } from '../federation/metrics.ts';
import type { Plan } from '../federation/plan.ts';
import { learningRateOfRound } from '../federation/schedule.ts';
import type { BlobReference } from '../federation/shapes.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { clientOf } from '../federation/strategies/table.ts';
import { computeAggregate, writeInitialState } from '../hub/closing.ts';
import type { RoundStart } from '../hub/closing.ts';
import type { Contribution } from '../hub/records.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { partsOfUpdate, zerosLike } from '../site/round-training.ts';
import type { RoundRequest, RoundTrainer } from '../site/trainer.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';

/** A site of a simulation. Its name decides the order of its rows, as at a real one. */
export interface VirtualSite {
  readonly name: string;
  readonly examples: readonly (Example | PreferenceExample)[];
}

/** A closed round. */
export interface RoundOutcome {
  readonly round: number;
  /** Mean of the cohort's losses, weighted by examples. */
  readonly loss: number;
  /** Of pairs while they were trained on: the share whose chosen answer is ahead, and by how much. */
  readonly accuracy?: number;
  readonly margin?: number;
  /** What the cohort's blobs would take on the wire. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly seconds: number;
}

export interface FederatedOptions {
  readonly plan: Plan;
  readonly sites: readonly VirtualSite[];
  readonly trainer: RoundTrainer;
  /** Where updates and the hub's state lie; other blobs in it are removed. */
  readonly blobs: BlobStore;
  /** What round 0 starts from. */
  readonly start: NamedTensors;
  /** In place of the plan's, which then only says what sites do. */
  readonly strategy?: Strategy;
  readonly signal: AbortSignal;
  readonly onRound?: (round: RoundOutcome) => void;
  /** Told of every step of a site. */
  readonly onStep?: (step: { readonly round: number; readonly site: string }) => void;
}

export interface FederatedRun {
  readonly adapter: NamedTensors;
  readonly rounds: readonly RoundOutcome[];
  /** In how many rounds each site's update counted. */
  readonly cohortRounds: ReadonlyMap<string, number>;
}

/**
 * Runs a plan's rounds.
 * @throws TributaryError `simulation.too-few-sites` where the plan would never begin, what training throws, `disk.full`
 */
export async function runFederated(options: FederatedOptions): Promise<FederatedRun> {
  const { plan, blobs, strategy, onRound } = options;
  const sites = [...options.sites].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { minSites, rounds: count } = plan.federation;
  if (sites.length < minSites) {
    throw new TributaryError(
      'simulation.too-few-sites',
      `The plan begins with ${minSites} sites (federation.minSites), but there are ${sites.length}.`,
    );
  }
  const rounds: RoundOutcome[] = [];
  const cohortRounds = new Map(sites.map(({ name }) => [name, 0]));
  let start = await writeInitialState(blobs, plan, options.start, strategy);
  /** Control variates by site, of those that have one. */
  const carried = new Map<string, BlobReference>();
  for (let number = 0; number < count; number++) {
    const began = performance.now();
    const contributions: Contribution[] = [];
    for (const site of sites) {
      contributions.push(await contribute({ ...options, site, number, round: start, carried }));
    }
    const cohort = contributions.map(({ site }) => site);
    const round = { run: plan.name, number, phase: 'closing', seconds: 0, cohort } as const;
    const closed = await computeAggregate({
      blobs,
      plan,
      round: { ...round, ...start, loss: null, aggregate: null, ledgerIndex: null },
      contributions,
      members: sites.length,
      strategy,
    });
    if ('lost' in closed) throw new TributaryError('blob.damaged', closed.reason);
    for (const name of cohort) cohortRounds.set(name, (cohortRounds.get(name) ?? 0) + 1);
    const sizes = contributions.map(({ hash }) => blobs.size(hash) ?? 0);
    const { preferenceAccuracy: accuracy, preferenceMargin: margin } = metricsOfCohort(contributions);
    const outcome: RoundOutcome = {
      round: number,
      loss: closed.loss,
      ...(accuracy !== undefined && { accuracy, margin }),
      bytesUp: sizes.reduce((sum, size) => sum + size, 0),
      bytesDown: (start.base.size + (start.control?.size ?? 0)) * cohort.length,
      seconds: (performance.now() - began) / 1000,
    };
    start = closed.start;
    await blobs.collectGarbage(new Set(blobsOf(start, carried)));
    rounds.push(outcome);
    onRound?.(outcome);
  }
  return { adapter: readTensors(blobs.path(start.base.hash)), rounds, cohortRounds };
}

interface Part extends FederatedOptions {
  readonly site: VirtualSite;
  readonly number: number;
  readonly round: RoundStart;
  /** Where the site keeps its control variate from round to round. */
  readonly carried: Map<string, BlobReference>;
}

/** One site's part of a round: what it would send. */
async function contribute(part: Part): Promise<Contribution> {
  const { plan, trainer, blobs, start, site, number, round, carried, signal, onStep } = part;
  const { name, examples } = site;
  const base = readTensors(blobs.path(round.base.hash));
  const controls = controlsOf(part, base);
  const trained = await trainer.train({
    plan,
    run: plan.name,
    round: number,
    learningRate: learningRateOfRound(plan.training, number, plan.federation.rounds),
    seedParts: [plan.seed, number, name],
    base,
    reference: referenceOf(plan, start),
    controls,
    examples,
    signal,
    onStep: () => onStep?.({ round: number, site: name }),
  });
  const { parts, control } = partsOfUpdate(trained, controls);
  if (control !== null) carried.set(name, await blobs.put(encodeTensors(control)));
  const { hash } = await blobs.put(encodeUpdate(parts));
  const { loss, preference } = trained;
  return {
    site: name,
    state: 'committed',
    hash,
    examples: Math.max(1, Math.min(trained.examples, examples.length)),
    loss,
    metrics: preference
      ? { preferenceAccuracy: preference.accuracy, preferenceMargin: preference.margin }
      : {},
    code: null,
    reason: null,
  };
}

function controlsOf(
  { plan, blobs, site, round, carried }: Part,
  base: NamedTensors,
): RoundRequest['controls'] {
  if (clientOf(plan.federation.strategy) !== 'control-variates') return null;
  const read = (blob: BlobReference | null | undefined): NamedTensors =>
    blob ? readTensors(blobs.path(blob.hash)) : zerosLike(base);
  return { hub: read(round.control), site: read(carried.get(site.name)) };
}

/** The blobs that the next round needs. */
function blobsOf(
  { base, control, state }: RoundStart,
  carried: ReadonlyMap<string, BlobReference>,
): string[] {
  const references = [base, ...(control ? [control] : []), ...carried.values()];
  return [...references.map(({ hash }) => hash), ...Object.values(state)];
}

/** For pairs: the adapter that the run starts from, or null where that is the model without one. */
export function referenceOf({ objective, adapter }: Plan, start: NamedTensors): NamedTensors | null {
  return objective === 'dpo' && adapter.start !== undefined ? start : null;
}
