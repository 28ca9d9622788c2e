/** @file Answers about runs: which there are, what one would cost and tell, yes or no, and its course. */

import { TributaryError } from '../../errors.ts';
import { openPlan } from '../../federation/plan.ts';
import type { Plan } from '../../federation/plan.ts';
import { awaitsAmendment } from '../../site/amendments.ts';
import type { FederationContext } from '../../site/context.ts';
import { passGate } from '../../site/policy.ts';
import type { Probe } from '../../site/probe.ts';
import type { Site } from '../../site/site.ts';
import { nameOfRun, runOfName } from '../../site/run-names.ts';
import type { SiteRun } from '../../site/tables.ts';
import type { Output } from '../contract.ts';
import type { Fit } from '../contract/runs.ts';
import type { Handlers } from '../dispatch.ts';
import { refusalOf } from '../problem.ts';
import type { AloneAnswers } from './alone.ts';
import type { SiteApplication } from './application.ts';
import { fitOf } from './fit.ts';
import { missingOf, startProbe } from './measure.ts';
import { leavesOf, linesOf } from './plan-in-words.ts';
import { createSeries, roundsOf, stepsPerRound } from './series.ts';
import { createUsableDatasets } from './usable-datasets.ts';

type Run = Output<'runs.list'>['runs'][number];

/** @param alone the course of a training without a federation, which windows ask for in the same way */
export function runHandlers(application: SiteApplication, alone: AloneAnswers['course']): Handlers {
  const series = createSeries(application.emit);
  application.onOpen((site) => series.follow(site));
  const { folder, settings } = application;
  const usable = createUsableDatasets();
  const probes = new Map<string, Probe>();
  /** How the site is asked about a run. */
  const asked = (name: string): { run: string; federation: string } => {
    const { federation, run } = find(application.site(), name);
    return { run: run.run, federation: federation.name };
  };
  const fit = (run: string, plan: Plan, examples: number | null): Fit =>
    fitOf({
      ...{ plan, examples, folder },
      secondsPerStep: series.secondsPerStep(run),
      probe: probes.get(run) ?? null,
    });

  return {
    'runs.list': () => {
      const site = application.site();
      const federations = [...site.context.federations.values()];
      return {
        runs: federations.flatMap((federation) =>
          federation.store.runs().map((run) => describe({ federation, run })),
        ),
      };
    },
    'runs.plan': ({ run: id, dataset }) => {
      const site = application.site();
      const found = find(site, id);
      const plan = shownPlan(found.run);
      const datasets = usable(site, plan);
      const refused = refusalOf(() => passGate(site.context.policies(), { kind: 'plan', plan }));
      const examples = datasets.find(({ name }) => name === (dataset ?? datasets[0]?.name))?.rows ?? null;
      return {
        run: describe(found),
        lines: linesOf(plan),
        leaves: leavesOf(plan, site.context.policies()),
        refused,
        datasets,
        fit: fit(id, plan, examples),
        missing: missingOf(settings, plan, datasets),
        plan,
      };
    },
    'runs.measure': ({ run, dataset }) => {
      const plan = shownPlan(find(application.site(), run).run);
      const chosen =
        dataset ?? usable(application.site(), plan).find(({ refused }) => refused === null)?.name;
      if (chosen === undefined) throw new TributaryError('data.wrong-kind', 'No dataset here fits this run.');
      const { rows } = application.site().context.vault.dataset(chosen);
      const task = startProbe(application, { run, plan, dataset: chosen }, (probe) => {
        probes.set(run, probe);
        return fit(run, plan, rows);
      });
      return { task };
    },
    'runs.approve': async ({ run, dataset }) => {
      const { planHash } = await application.site().ask('approve', { ...asked(run), dataset });
      application.emit('changed', { what: 'runs' });
      return { run, planHash: planHash ?? '' };
    },
    'runs.decline': async ({ run, reason }) => {
      await application.site().ask('stopRun', { ...asked(run), how: 'decline', reason: reason.trim() });
      application.emit('changed', { what: 'runs' });
      return { run };
    },
    'runs.stop': async ({ run, how }) => {
      await application.site().ask('stopRun', { ...asked(run), how });
      application.emit('changed', { what: 'runs' });
      return { run, how };
    },
    'runs.resume': async ({ run }) => {
      await application.site().ask('resumeRun', asked(run));
      application.emit('changed', { what: 'runs' });
      return { run };
    },
    'runs.series': ({ run: id }) => {
      const lonely = alone(id);
      if (lonely !== null) return lonely;
      const site = application.site();
      const { federation, run } = find(site, id);
      return {
        run: id,
        steps: [...series.steps(id)],
        rounds: roundsOf(federation, run.run),
        stepsPerRound: stepsPerRound(run),
        roundsTotal: openPlan(run.plan, run.plan_hash).federation.rounds,
      };
    },
  };
}

interface Found {
  readonly federation: FederationContext;
  readonly run: SiteRun;
}

/** @param name as windows name runs */
function find({ context: { federations } }: Site, name: string): Found {
  const { federation: number, run: id } = runOfName(name);
  const federation = federations.get(number);
  const run = federation?.store.run(id);
  if (federation && run) return { federation, run };
  throw new TributaryError('site.unknown-run', `The run ${name} is not known here.`);
}

/** The plan to decide on: an amended one where that waits. */
function shownPlan(run: SiteRun): Plan {
  return awaitsAmendment(run)
    ? openPlan(run.amendment ?? '', run.amendment_hash ?? '')
    : openPlan(run.plan, run.plan_hash);
}

function describe({ federation, run }: Found): Run {
  const { name, model, objective, federation: course } = openPlan(run.plan, run.plan_hash);
  const done = roundsOf(federation, run.run).filter(({ state }) => state === 'committed');
  return {
    ...{ id: nameOfRun(federation.number, run.run), name, federation: federation.name },
    ...{ state: stateOf(federation, run), reason: run.reason, planHash: run.plan_hash },
    ...{ model: model.id, objective, dataset: run.dataset, examples: run.examples },
    roundsDone: done.length,
    rounds: course.rounds,
    finishing: run.state === 'approved' && federation.store.stopped(run.run) === 'finishing',
    amendment: awaitsAmendment(run) ? { rounds: shownPlan(run).federation.rounds } : null,
    adapter: run.saved === 1,
  };
}

/** What a person has stopped is told apart from what the policy declined. */
function stateOf({ store }: FederationContext, { run, state }: SiteRun): Run['state'] {
  const stop = state === 'declined' ? store.stopped(run) : null;
  return stop === 'paused' || stop === 'discarded' ? stop : state;
}
