/** @file `tributary simulate --faults` and `--fault-seed`: a run on a virtual clock in which things go wrong. */

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TributaryError } from '../../../core/errors.ts';
import type { PlanRequest } from '../../../core/federation/plan.ts';
import { drawFaults, readFaults } from '../../../core/simulation/faults/faults.ts';
import { foundFederation } from '../../../core/simulation/faults/federation.ts';
import { occasionOf, playScenario } from '../../../core/simulation/faults/scenario.ts';
import type { CommandContext } from '../command.ts';

export interface FaultOptions {
  readonly plan: PlanRequest;
  /** Four, or as many as the plan needs, without it. */
  readonly sites?: number;
  /** A list of faults; without it each seed draws its own. */
  readonly faults?: string;
  readonly seed: number;
  /** Seeds from the first on. */
  readonly runs: number;
}

/** Plays the faults of each seed, says what did not hold, and fails if anything did not. */
export async function simulateFaults(options: FaultOptions, context: CommandContext): Promise<void> {
  const { plan, seed: first, runs } = options;
  const { output } = context;
  const signal = context.interruption();
  const count = options.sites ?? Math.max(4, plan.federation.minSites);
  const names = Array.from({ length: count }, (_, index) => `site-${String(index + 1).padStart(3, '0')}`);
  const scene = { plan, sites: Object.fromEntries(names.map((name, index) => [name, 10 + index])) };
  const given = options.faults === undefined ? null : await readFaults(options.faults);
  const strangers = (given ?? []).flatMap((fault) => {
    const named = 'site' in fault ? fault.site : 'where' in fault ? fault.where : 'hub';
    return named === 'hub' || names.includes(named) ? [] : [named];
  });
  if (strangers.length > 0) {
    const what = `${options.faults} names ${strangers.join(', ')}; the sites are ${names.join(', ')}.`;
    throw new TributaryError('simulation.bad-faults', what);
  }
  // In memory where there is such a folder: it does not outlive the command.
  const root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tributary-faults-'));
  const bar = context.progress('Playing faults');
  const broken: { seed: number; violations: readonly string[] }[] = [];
  let whole = 0;
  try {
    const prepared = join(root, 'prepared');
    await foundFederation(prepared, scene.sites);
    for (let seed = first; seed < first + runs; seed++) {
      signal.throwIfAborted();
      const faults = given ?? drawFaults(seed, occasionOf(scene));
      const folder = join(root, String(seed));
      const { violations, cohorts, adapter, seconds, trace } = await playScenario({
        scene,
        prepared,
        folder,
        seed,
        faults,
      });
      output.event('scenario', { seed, faults, violations, cohorts, adapter, seconds });
      if (cohorts.every((cohort) => cohort.length === count)) whole += 1;
      if (violations.length > 0) broken.push({ seed, violations });
      for (const violation of violations) bar.note(`Seed ${seed}: ${violation}`);
      if (runs === 1) for (const line of trace) output.line(line);
      bar.update(seed - first + 1, runs, `seed ${seed}`);
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  bar.finish(`${runs} runs: ${runs - broken.length} held, in ${whole} every site counted in every round.`);
  if (broken.length > 0) {
    const seeds = broken.map(({ seed }) => seed).join(', ');
    throw new TributaryError('simulation.violated', `What must hold did not with the seeds ${seeds}.`);
  }
  output.result({ runs, held: runs - broken.length, wholeCohorts: whole });
}
