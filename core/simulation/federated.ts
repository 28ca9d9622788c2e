/**
 * @file A federated run without a network: every site trains in turn in one warm process, and rounds are closed by the
 * hub's own code over blobs on disk. The adapter is that of a real run of the same plan, sites and rows, bit for bit.
 */

import { TributaryError } from '../errors.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { drawCohort } from '../federation/cohort.ts';
import { encodeTensors, readTensors } from '../federation/codec.ts';
import type { Published } from '../federation/broadcast.ts';
import { metricsOfCohort } from '../federation/metrics.ts';
import { planAtSite } from '../federation/local-steps.ts';
import type { Plan } from '../federation/plan.ts';
import { isPersonal, learningRateOfRound } from '../federation/schedule.ts';
import type { BlobReference } from '../federation/shapes.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { computeAggregate, writeInitialState } from '../hub/closing.ts';
import type { RoundStart } from '../hub/closing.ts';
import type { Contribution } from '../hub/records.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { adapterAtSite, controlsOf, outcomeOf } from '../site/outcome.ts';
import type { CarriedTensors } from '../site/outcome.ts';
import type { RoundTrainer } from '../site/trainer.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';

/** A site of a simulation. Its name decides the order of its rows, as at a real one. */
export interface VirtualSite {
  readonly name: string;
  readonly examples: readonly (Example | PreferenceExample)[];
}

/** Blobs that a site carries from round to round, by name. */
type Carried = Readonly<Record<string, BlobReference>>;

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
  /** Names of the sites of a round's cohort, in place of those that the plan draws. */
  readonly cohortOf?: (round: number) => readonly string[];
  /** Sites whose late updates count in a round, with the round that each was trained in. */
  readonly lateOf?: (round: number) => ReadonlyMap<string, number>;
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
  /** By the site's name, where every site ends with an adapter of its own. */
  readonly atSites: ReadonlyMap<string, NamedTensors> | null;
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
  /** What each site carries, by its name. */
  const carried = new Map<string, Carried>();
  /** Late updates that count in the next round. */
  let held: Contribution[] = [];
  for (let number = 0; number < count; number++) {
    const began = performance.now();
    const contributions = held;
    held = [];
    const late = options.lateOf?.(number);
    const later = options.lateOf?.(number + 1);
    const chosen = options.cohortOf?.(number) ?? drawCohort([...cohortRounds.keys()], plan, number);
    for (const site of sites) {
      const isLate = later?.get(site.name) === number;
      if (!isLate && (late?.has(site.name) === true || chosen?.includes(site.name) === false)) continue;
      const made = await contribute({ ...options, site, number, round: start, carried });
      if (isLate) held.push({ ...made, late: { round: number, base: start.base.hash } });
      else contributions.push(made);
    }
    const before = start.base;
    const cohort = contributions.map(({ site }) => site);
    const closed = await computeAggregate({
      blobs,
      plan,
      round: { number, ...start },
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
      bytesDown: (sizeOnWire(start.base) + sizeOnWire(start.control)) * cohort.length,
      seconds: (performance.now() - began) / 1000,
    };
    start = closed.start;
    const waiting = held.length === 0 ? [] : [before.hash, ...held.map(({ hash }) => hash)];
    await blobs.collectGarbage(new Set([...blobsOf(start, carried), ...waiting]));
    rounds.push(outcome);
    onRound?.(outcome);
  }
  const adapter = readTensors(blobs.path(start.base.hash));
  const atSites = sites.map(({ name }) => {
    const own = carried.get(name)?.own;
    return [name, adapterAtSite(adapter, own ? { own: readTensors(blobs.path(own.hash)) } : {})] as const;
  });
  return { adapter, atSites: isPersonal(plan) ? new Map(atSites) : null, rounds, cohortRounds };
}

interface Part extends FederatedOptions {
  readonly site: VirtualSite;
  readonly number: number;
  readonly round: RoundStart;
  /** Where the site keeps what it carries from round to round. */
  readonly carried: Map<string, Carried>;
}

/** One site's part of a round: what it would send. */
async function contribute(part: Part): Promise<Contribution> {
  const { trainer, blobs, start, site, number, round, carried, signal, onStep } = part;
  const { name, examples } = site;
  const plan = planAtSite(part.plan, examples.length);
  const read = (blob: BlobReference): NamedTensors => readTensors(blobs.path(blob.hash));
  const left = Object.entries(carried.get(name) ?? {}).map(([of, blob]) => [of, read(blob)] as const);
  const before: CarriedTensors = Object.fromEntries(left);
  const base = adapterAtSite(read(round.base), before);
  const controls = controlsOf(plan, { base, hub: round.control && read(round.control), carried: before });
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
  const outcome = outcomeOf(plan, { round: number, base, controls, carried: before, trained });
  const after: Record<string, BlobReference> = {};
  for (const [of, tensors] of Object.entries(outcome.carried) as [string, NamedTensors][])
    after[of] = await blobs.put(encodeTensors(tensors));
  carried.set(name, after);
  const { hash } = await blobs.put(outcome.bytes);
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
    late: null,
  };
}

/** What a site fetches that holds what the round before has left. */
function sizeOnWire(published: Published | null): number {
  return published?.delta?.size ?? published?.size ?? 0;
}

/** The blobs that the next round needs. */
function blobsOf({ base, control, state }: RoundStart, carried: ReadonlyMap<string, Carried>): string[] {
  const references = [
    base,
    ...(control ? [control] : []),
    ...[...carried.values()].flatMap((blobs) => Object.values(blobs)),
  ];
  return [...references.map(({ hash }) => hash), ...Object.values(state)];
}

/** For pairs: the adapter that the run starts from, or null where that is the model without one. */
export function referenceOf({ objective, adapter }: Plan, start: NamedTensors): NamedTensors | null {
  return objective === 'dpo' && adapter.start !== undefined ? start : null;
}
