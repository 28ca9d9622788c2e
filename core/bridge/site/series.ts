/** @file The course of runs at this site, step by step, as long as the process lives; rounds are in the database. */

import { openPlan } from '../../federation/plan.ts';
import { stepsOfSite } from '../../federation/local-steps.ts';
import type { Site } from '../../site/site.ts';
import type { FederationContext } from '../../site/context.ts';
import { nameOfRun } from '../../site/run-names.ts';
import type { FederationStatus } from '../../site/status.ts';
import type { SiteRound, SiteRun } from '../../site/tables.ts';
import type { Output } from '../contract.ts';
import type { Dispatcher } from '../dispatch.ts';

type Course = Output<'runs.series'>;
type Step = Course['steps'][number];
type Round = Course['rounds'][number];

/** Steps of a run that are kept: half of the older ones go when there are more. */
const KEPT_STEPS = 20_000;

export interface Series {
  /** Watches a site that has been started. */
  readonly follow: (site: Site) => void;
  steps(run: string): readonly Step[];
  /** Mean seconds between two steps of a run, from those of one round; null before there are two. */
  secondsPerStep(run: string): number | null;
}

export function createSeries(emit: Dispatcher['emit']): Series {
  const known = new Map<string, Step[]>();

  return {
    follow: (site) => {
      const told = new Map<string, string>();
      const tellRound = (run: string, round: SiteRound | null): void => {
        if (round === null) return;
        const [key, described] = [`${run} ${round.round}`, describe(round)];
        if (told.get(key) === JSON.stringify(described)) return;
        told.set(key, JSON.stringify(described));
        emit('series', { kind: 'round', run, ...described });
      };
      const takeOne = ({ number, run: id, round, phase, step, steps, loss }: FederationStatus): void => {
        const federation = site.context.federations.get(number ?? 0);
        if (federation === undefined || id === null) return;
        const run = nameOfRun(federation.number, id);
        if (round !== null && phase === 'training' && step !== null && step > 0 && loss !== null) {
          const list = known.get(run) ?? [];
          known.set(run, list);
          const point = { round, step: round * (steps ?? 0) + step, loss, time: Date.now() / 1000 };
          if (list.at(-1)?.step === point.step) return;
          // A round that begins anew is drawn anew.
          while ((list.at(-1)?.step ?? 0) > point.step) list.pop();
          list.push(point);
          if (list.length > KEPT_STEPS) thin(list);
          emit('series', { kind: 'step', run, ...point });
        }
        const last = federation.store.lastRound(id);
        // Whether an update counts may be known only after the next round has begun.
        if (last !== null) tellRound(run, federation.store.round(id, last.round - 1));
        tellRound(run, last);
      };
      site.watch(({ federations }) => federations.forEach(takeOne));
    },
    steps: (run) => known.get(run) ?? [],
    secondsPerStep: (run) => {
      const list = known.get(run) ?? [];
      const last = list.filter(({ round }) => round === list.at(-1)?.round);
      const [first, end] = [last.at(0), last.at(-1)];
      if (first === undefined || end === undefined || end.step === first.step) return null;
      return (end.time - first.time) / (end.step - first.step);
    },
  };
}

function thin(list: Step[]): void {
  const older = list.splice(0, list.length / 2).filter((_, index) => index % 2 === 0);
  list.unshift(...older);
}

/** What this site said of each round that it has begun. */
export function roundsOf({ store }: FederationContext, run: string): Round[] {
  return store.rounds(run).map(describe);
}

function describe({ round, loss, metrics, phase }: SiteRound): Round {
  return { round, loss, metrics: metrics ?? {}, state: phase };
}

/** Steps a round of this site, as far as its rows are known. */
export function stepsPerRound(run: SiteRun): number {
  const plan = openPlan(run.plan, run.plan_hash);
  return run.examples === null ? plan.training.steps : stepsOfSite(plan, run.examples);
}
