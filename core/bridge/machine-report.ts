/** @file What diagnostics of a site and of a hub say of the machine. */

import { statfsSync } from 'node:fs';
import { availableParallelism, freemem, platform, release, totalmem } from 'node:os';
import { versions } from 'node:process';
import { formatBytes } from '../sizes.ts';
import type { Output } from './contract.ts';
import type { Program } from './program.ts';

export type Check = Output<'diagnostics.read'>['checks'][number];

/** Processor, memory, and the disk of a folder. Windows know these words by their form and say them in their language. */
export function machineChecks(folder: string): Check[] {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  return [
    { name: 'processor', ok: true, says: `${availableParallelism()} processor cores` },
    {
      name: 'memory',
      ok: totalmem() > 3e9,
      says: `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`,
    },
    { name: 'disk', ok: free > 2e9, says: `${formatBytes(free)} are free` },
  ];
}

/** The report as text: the program, the checks, then further lines. */
export function reportText({ software, surface }: Program, checks: readonly Check[], more: string[]): string {
  return [
    `${software}, ${surface}`,
    `${platform()} ${release()}, Node ${versions.node}, SQLite ${versions.sqlite ?? 'of the program'}`,
    ...checks.map(({ name, ok, says }) => `${ok ? 'ok' : 'PROBLEM'}  ${name}: ${says}`),
    ...more,
  ].join('\n');
}
