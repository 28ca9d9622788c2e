/** @file What a rehearsal shows on the command line: sites as they answer, and the forecast. */

import { setTimeout as sleep } from 'node:timers/promises';
import { askHub } from '../../../../core/hub/ask.ts';
import type { RehearsalReport, RehearsedSite } from '../../../../core/hub/forecast.ts';
import { formatBytes } from '../../../../core/sizes.ts';
import { formatSeconds, formatTable } from '../../format.ts';
import type { Output } from '../../output.ts';

const POLL_MILLISECONDS = 500;

/** Waits until every site that is here has been measured or has refused, and for those whose people decide so long. */
export async function awaitReport(
  { dir, rehearsal, wait, signal }: { dir: string; rehearsal: string; wait: number; signal: AbortSignal },
  output: Output,
): Promise<RehearsalReport> {
  output.line(`${rehearsal}: the sites are asked.`);
  const until = performance.now() + wait * 1000;
  const told = new Map<string, string>();
  let saysWhy = false;
  for (;;) {
    const report = await askHub(dir, 'rehearsal', { rehearsal });
    for (const site of report.sites) {
      const line = describe(site);
      if (told.get(site.name) !== line) output.event('site', { ...site });
      if (told.get(site.name) !== line) output.line(line);
      told.set(site.name, line);
    }
    const isWaiting = report.sites.some(({ state }) => state === 'waiting');
    if (report.settled && isWaiting && !saysWhy) {
      output.line(`Their people are awaited for ${formatSeconds(wait)} (--wait); Ctrl-C ends it sooner.`);
      saysWhy = true;
    }
    if (signal.aborted || (report.settled && (!isWaiting || performance.now() >= until))) {
      printForecast(output, report);
      return report;
    }
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => undefined);
  }
}

export function printReport(output: Output, report: RehearsalReport): void {
  for (const site of report.sites) output.line(describe(site));
  printForecast(output, report);
}

function describe({ name, state, reason, contract, ...figures }: RehearsedSite): string {
  const parts = contract?.parts ?? [];
  const unfit = parts.length > 0 ? ` (${parts.join(', ')})` : '';
  const { memory, secondsPerStep, tokensPerSecond, precision, device } = figures;
  if (memory === null || secondsPerStep === null)
    return `${name}: ${state}${reason && ` (${reason.replace(/\.$/, '')})`}${unfit}`;
  const verdict = memory.fits ? '' : ', which is too much';
  return (
    `${name}: ${figures.examples} examples, ${secondsPerStep.toFixed(2)} s a step, ` +
    `${tokensPerSecond?.toFixed(0)} tokens/s (${precision} on ${device}), ` +
    `${formatBytes(memory.bytes)} of memory of ${formatBytes(memory.limit)}${verdict}`
  );
}

function printForecast(output: Output, { sites, forecast }: RehearsalReport): void {
  const { seconds, secondsPerRound, bytes, bytesPerRound, needed } = forecast;
  output.line(`${forecast.sites} of ${sites.length} sites could take part; ${needed} are needed.`);
  const times = [secondsPerRound, seconds].map((value) => (value === null ? '–' : formatSeconds(value)));
  const { up, down } = bytesPerRound.perSite;
  const rows = [
    ['training', times[0], times[1]],
    ['a site sends', formatBytes(up), ''],
    ['a site fetches', formatBytes(down), ''],
    ['all bytes', formatBytes(bytesPerRound.all), formatBytes(bytes.all)],
  ];
  for (const line of formatTable(['forecast', 'round', 'run'], rows)) output.line(line);
  if (forecast.tooSlow.length > 0) {
    const limit = formatSeconds(forecast.deadline);
    output.line(`Longer than the deadline of ${limit}: ${forecast.tooSlow.join(', ')}.`);
  }
}
