/** @file Answers about rehearsals that wait for a person: which there are, yes or no. */

import { PROBE_STEPS } from '../../site/probe.ts';
import { nameOfRun, runOfName } from '../../site/run-names.ts';
import type { Handlers } from '../dispatch.ts';
import type { SiteApplication } from './application.ts';
import { missingOf } from './measure.ts';
import { linesOf } from './plan-in-words.ts';
import { createUsableDatasets } from './usable-datasets.ts';

export function rehearsalHandlers(application: SiteApplication): Handlers {
  const usable = createUsableDatasets();
  /** How the site is asked about a rehearsal, which windows name as runs. */
  const asked = (name: string): { run: string; federation?: string } => {
    const { federation, run } = runOfName(name);
    return { run, federation: application.site().context.federations.get(federation)?.name };
  };
  return {
    'rehearsals.list': () => {
      const site = application.site();
      const waiting = [...site.agents].flatMap(([federation, agent]) =>
        agent.rehearsals().map((each) => ({ ...each, federation })),
      );
      return {
        rehearsals: waiting.map(({ rehearsal, federation, planHash, plan }) => {
          const datasets = usable(site, plan);
          return {
            id: nameOfRun(federation, rehearsal),
            federation: site.context.federations.get(federation)?.name ?? '',
            ...{ planHash, plan, datasets, name: plan.name, steps: PROBE_STEPS, lines: linesOf(plan) },
            missing: missingOf(application.settings, plan, datasets),
          };
        }),
      };
    },
    'rehearsals.approve': async ({ rehearsal, dataset }) => {
      await application.site().ask('approve', { ...asked(rehearsal), dataset });
      return { rehearsal };
    },
    'rehearsals.decline': async ({ rehearsal, reason }) => {
      const request = { ...asked(rehearsal), how: 'decline' as const, reason: reason.trim() };
      await application.site().ask('stopRun', request);
      return { rehearsal };
    },
  };
}
