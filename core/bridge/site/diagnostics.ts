/** @file Answers with what may be handed to somebody who helps: numbers, codes and names of runs, nothing private. */

import { nameOfRun } from '../../site/run-names.ts';
import type { FederationStatus } from '../../site/status.ts';
import { formatBytes } from '../../sizes.ts';
import type { Handlers } from '../dispatch.ts';
import { machineChecks, reportText } from '../machine-report.ts';
import type { Check } from '../machine-report.ts';
import { bundledModel } from '../models.ts';
import type { SiteApplication } from './application.ts';

export function diagnosticsHandlers(application: SiteApplication): Handlers {
  return {
    'diagnostics.read': () => {
      const checks = [...machineChecks(application.folder), ...siteChecks(application)];
      return { text: reportText(application.program, checks, runLines(application)), checks };
    },
  };
}

/** How the site stands with a hub, by its state. */
export const HUB_WORDS: Readonly<Record<FederationStatus['state'], string>> = {
  'not-joined': 'in no federation',
  stopped: 'the site is stopped',
  offline: 'the hub is not reached',
  revoked: 'no member any more',
  idle: 'the hub is reached',
  'awaiting-approval': 'a run waits for approval here',
  ready: 'approved, and others are awaited',
  working: 'a run is under way',
  paused: 'a run is paused here',
};

function siteChecks(application: SiteApplication): Check[] {
  const model = bundledModel();
  const bundled = {
    name: 'model',
    ok: model.present,
    says: model.present ? `${model.id} is here` : `${model.id} is missing`,
  };
  const blocked = application.blocked();
  if (blocked !== null)
    return [bundled, { name: 'folder', ok: false, says: `it cannot be used (${blocked.code})` }];
  const site = application.site();
  const { state, federations, leftThisMachine } = site.status();
  return [
    bundled,
    { name: 'folder', ok: true, says: 'it is open' },
    ...(federations.length === 0
      ? [{ name: 'hub', ok: true, says: HUB_WORDS[state] }]
      : federations.map((each) => hubOf(application, each))),
    { name: 'sent', ok: true, says: `${formatBytes(leftThisMachine.bytes)} in all` },
  ];
}

/** Hubs are told apart by number: the names of federations are nobody's business. */
function hubOf(application: SiteApplication, { number, state }: FederationStatus): Check {
  const agent = application.site().agents.get(number ?? 1);
  const reason = agent?.connection().reason?.code ?? agent?.trouble()?.code;
  return {
    name: number === 1 ? 'hub' : `hub ${number}`,
    ok: reason === undefined,
    says: reason === undefined ? HUB_WORDS[state] : `${HUB_WORDS[state]} (${reason})`,
  };
}

function runLines(application: SiteApplication): string[] {
  if (application.blocked() !== null) return [];
  return application
    .site()
    .status()
    .federations.flatMap(({ number, runs }) =>
      runs.map(({ id, state }) => `run ${nameOfRun(number ?? 1, id)}: ${state}`),
    );
}
