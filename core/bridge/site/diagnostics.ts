/** @file Answers with what may be handed to somebody who helps: numbers, codes and names of runs, nothing private. */

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

function siteChecks(application: SiteApplication): Check[] {
  const model = bundledModel();
  const bundled = {
    name: 'model',
    ok: model.present,
    says: model.present ? `${model.id} is here` : `${model.id} is missing`,
  };
  const blocked = application.blocked();
  if (blocked !== null) return [bundled, { name: 'folder', ok: false, says: blocked.code }];
  const site = application.site();
  const { state, leftThisMachine } = site.status();
  const reason = site.agent()?.connection().reason?.code ?? site.agent()?.trouble()?.code;
  return [
    bundled,
    { name: 'folder', ok: true, says: 'open' },
    { name: 'hub', ok: reason === undefined, says: reason === undefined ? state : `${state}, ${reason}` },
    { name: 'sent', ok: true, says: `${leftThisMachine.bytes} bytes` },
  ];
}

function runLines(application: SiteApplication): string[] {
  if (application.blocked() !== null) return [];
  return application
    .site()
    .context.store.runs()
    .map(({ run, state }) => `run ${run}: ${state}`);
}
