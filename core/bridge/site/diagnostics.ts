/** @file Answers with what may be handed to somebody who helps: numbers, codes and names of runs, nothing private. */

import { availableParallelism, freemem, platform, release, totalmem } from 'node:os';
import { statfsSync } from 'node:fs';
import { versions } from 'node:process';
import type { Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import { bundledModel } from '../models.ts';
import type { SiteApplication } from './application.ts';

type Check = Output<'diagnostics.read'>['checks'][number];

export function diagnosticsHandlers(application: SiteApplication): Handlers {
  return {
    'diagnostics.read': () => {
      const checks = [...machineChecks(application.folder), ...siteChecks(application)];
      const lines = [
        `${application.program.software}, ${application.program.surface}`,
        `${platform()} ${release()}, Node ${versions.node}, SQLite ${versions.sqlite ?? 'of the program'}`,
        ...checks.map(({ name, ok, says }) => `${ok ? 'ok' : 'PROBLEM'}  ${name}: ${says}`),
        ...runLines(application),
      ];
      return { text: lines.join('\n'), checks };
    },
  };
}

function machineChecks(folder: string): Check[] {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  return [
    { name: 'processor', ok: true, says: `${availableParallelism()} cores` },
    {
      name: 'memory',
      ok: totalmem() > 3e9,
      says: `${gigabytes(freemem())} free of ${gigabytes(totalmem())}`,
    },
    { name: 'disk', ok: free > 2e9, says: `${gigabytes(free)} free` },
  ];
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

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
