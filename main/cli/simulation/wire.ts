/**
 * @file `tributary simulate --wire`: the rounds of a simulation by a hub and sites that are processes of their own and
 * talk over sealed sockets of this machine. The adapter is that of the simulation in one process, bit for bit.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TributaryError } from '../../../core/errors.ts';
import { isPersonal } from '../../../core/federation/schedule.ts';
import type { Plan } from '../../../core/federation/plan.ts';
import { readAdapter, writeAdapter } from '../../../core/model/adapter.ts';
import type { ModelConfiguration } from '../../../core/model/configuration.ts';
import type { FederatedOptions, FederatedRun, VirtualSite } from '../../../core/simulation/federated.ts';
import type { Example, PreferenceExample } from '../../../core/training/examples.ts';
import { runFederation } from '../demo/federation.ts';

export interface Wire {
  readonly configuration: ModelConfiguration;
  /** Path of a model that is not in the catalogue. */
  readonly modelPath?: string;
  readonly threads: number;
  readonly say: (text: string) => void;
}

/** What sites allow: a simulation asks for what it likes, with few rows. */
const POLICY = { version: 1, minExamples: 1, minSites: 1, maxRounds: 1_000_000, maxSteps: 100_000 };
const LONGEST_DEADLINE = '30d';

/** Takes the place of `runFederated`. Throws `plan.unsupported`, and what a process says went wrong. */
export function overWire(wire: Wire): (options: FederatedOptions) => Promise<FederatedRun> {
  return async (options) => {
    const { plan, sites, strategy } = options;
    if (strategy !== undefined || isPersonal(plan)) {
      const what =
        strategy !== undefined
          ? 'A strategy from a file is no part of a plan and never goes over the wire.'
          : 'Over the wire an adapter of a site’s own stays at that site, where a simulation cannot measure it.';
      throw new TributaryError('plan.unsupported', what, { hint: 'Simulate it without --wire.' });
    }
    const folder = await mkdtemp(join(tmpdir(), 'tributary-wire-'));
    try {
      const files = await writeFiles(folder, options, wire);
      const { rounds, adapter } = await runFederation({
        ...{ folder, ...files, threads: wire.threads, signal: options.signal },
        ...{ model: wire.modelPath ?? plan.model.id, rounds: plan.federation.rounds },
        watcher: {
          say: wire.say,
          process: () => undefined,
          progress: () => undefined,
          round: (round) => {
            options.onRound?.(round);
            for (const name of round.cohort) tellSteps(options, round.round, name);
          },
        },
      });
      const base = { identity: plan.model, configuration: wire.configuration };
      const counted = (name: string): number => rounds.filter(({ cohort }) => cohort.includes(name)).length;
      return {
        ...{ adapter: readAdapter(adapter, base).tensors, rounds, atSites: null },
        cohortRounds: new Map(sites.map(({ name }) => [name, counted(name)])),
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

/** The steps of a round are told once it is closed. */
function tellSteps({ plan, onStep }: FederatedOptions, round: number, site: string): void {
  for (let step = 0; step < plan.training.steps; step++) onStep?.({ round, site });
}

async function writeFiles(folder: string, { plan, sites, start }: FederatedOptions, wire: Wire) {
  const files = { plan: join(folder, 'plan.json'), policy: join(folder, 'policy.json') };
  await writeFile(files.plan, JSON.stringify(planForWire(plan, sites.length, wire.modelPath)));
  await writeFile(files.policy, JSON.stringify(POLICY));
  await mkdir(join(folder, 'rows'));
  const written = sites.map(async ({ name, examples }: VirtualSite, index) => {
    const train = join(folder, 'rows', `${index}.jsonl`);
    await writeFile(train, examples.map((example) => `${JSON.stringify(rowOf(example))}\n`).join(''));
    return { name, train };
  });
  const named = { ...files, sites: await Promise.all(written) };
  if (plan.adapter.start === undefined) return named;
  const place = join(folder, 'start');
  const base = { identity: plan.model, configuration: wire.configuration };
  await writeAdapter(place, { configuration: plan.adapter, tensors: start }, base);
  return { ...named, start: place };
}

/**
 * The plan without what a simulation does by itself (rows held out, own copies) or does not do (a contract, an early
 * stop). All sites are awaited, for as long as it takes.
 */
function planForWire(plan: Plan, sites: number, modelPath: string | undefined): object {
  return {
    ...plan,
    ...{ evaluation: undefined, data: undefined, personal: undefined },
    model: modelPath ?? plan.model,
    adapter: { ...plan.adapter, start: undefined },
    federation: {
      ...plan.federation,
      ...{ earlyStop: undefined, minApprovals: sites, deadline: LONGEST_DEADLINE },
    },
  };
}

function rowOf(example: Example | PreferenceExample): object {
  if (example.kind === 'conversation') return { messages: example.messages };
  const { prompt, chosen, rejected } = example;
  return { prompt, chosen, rejected };
}
