/**
 * @file `tributary bench hub`: rounds without training. The hub is a process of its own as `hub start` runs it, and so
 * is each site, as long as they are few.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { readPlan } from '../../../core/federation/plan.ts';
import { askHub } from '../../../core/hub/ask.ts';
import { initHub } from '../../../core/hub/folder.ts';
import type { ModelConfiguration } from '../../../core/model/configuration.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { runs, wholeNumber } from '../command.ts';

/** Processes that the sites share at most. */
const SITE_PROCESSES = 8;

/** The dimensions of SmolLM2-135M: rank 16 on all linears has 4 884 480 values. */
const smollm2: ModelConfiguration = {
  modelType: 'llama',
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  attentionHeads: 9,
  keyValueHeads: 3,
  headSize: 64,
  vocabularySize: 49_152,
  maximumPositions: 8192,
  rmsNormEpsilon: 1e-5,
  ropeTheta: 100_000,
  ropeScaling: null,
  tiedEmbedding: true,
  attentionBias: false,
};

export function register(bench: Command): void {
  bench
    .command('hub')
    .description('rounds without training: time, bytes and memory of the hub')
    .option('--sites <number>', 'sites', '8')
    .option('--rounds <number>', 'rounds', '10')
    .option('--rank <number>', 'rank of the adapter on all linears', '16')
    .option('--layers <number>', 'layers of the model, of which SmolLM2-135M has 30', '30')
    .option('--codec <name>', 'number format on the wire', 'f32')
    .action(benchHub);
}

const options = z.object({
  sites: wholeNumber(2),
  rounds: wholeNumber(1),
  rank: wholeNumber(1),
  layers: wholeNumber(1),
  codec: z.string(),
});

const roundShape = z.looseObject({
  type: z.literal('round'),
  seconds: z.number(),
  phases: z.record(z.string(), z.number()),
  bytesUp: z.number(),
  bytesDown: z.number(),
});
type Round = z.infer<typeof roundShape> & { readonly rss: number };

const benchHub = runs(options, async (input, { output, interruption }) => {
  const signal = interruption();
  const root = await mkdtemp(join(tmpdir(), 'tributary-bench-'));
  const children: Child[] = [];
  let hub: HubProcess | undefined;
  try {
    const folder = join(root, 'hub');
    await initHub({ folder, name: 'bench' });
    hub = await startHubProcess(folder);
    const processes = Math.min(input.sites, SITE_PROCESSES);
    for (let at = 0; at < processes; at++) {
      const [from, to] = [at, at + 1].map((edge) => String(Math.floor((edge * input.sites) / processes)));
      const words = ['bench', 'hub-sites', '--hub', folder, '--root', root, '--from', from, '--to', to];
      children.push(await startProgram(words));
    }
    const plan = readPlan(
      JSON.stringify({
        name: 'bench',
        model: 'bench',
        seed: 1,
        adapter: { rank: input.rank, alpha: input.rank, targets: 'all-linear' },
        federation: { rounds: input.rounds, minSites: input.sites, deadline: '1h', codec: input.codec },
      }),
    );
    await askHub(folder, 'propose', {
      plan,
      model: { id: 'bench', sha256: '0'.repeat(64) },
      configuration: { ...smollm2, layers: input.layers },
    });
    const rounds = await hub.rounds(input.rounds, signal, (round, number) => {
      output.event('round', { round: number, ...round });
      if (input.rounds <= 20) output.line(describe(round, number));
    });
    const result = summary(rounds, await peakOf(hub.process.pid));
    output.line(
      `${input.sites} sites: ${result.secondsPerRoundMedian.toFixed(2)} s and ` +
        `${formatBytes(result.bytesPerRoundMedian)} a round (median), the hub at most ${formatBytes(result.hubPeakRssBytes)}.`,
    );
    output.result({ sites: input.sites, ...result });
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    await hub?.stop();
    await rm(root, { recursive: true, force: true });
  }
});

function describe({ seconds, bytesUp, bytesDown, rss }: Round, number: number): string {
  return `Round ${number + 1}: ${seconds.toFixed(2)} s, ${formatBytes(bytesUp)} up, ${formatBytes(bytesDown)} down, hub ${formatBytes(rss)}`;
}

/** The first tenth of the rounds fills caches; growth is measured from there to the last tenth. */
function summary(rounds: readonly Round[], peak: number) {
  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const tenth = Math.max(1, Math.floor(rounds.length / 10));
  const rss = rounds.map((round) => round.rss);
  const early = median(rss.slice(tenth, 2 * tenth).concat(rss.length <= tenth ? rss : []));
  return {
    rounds: rounds.length,
    secondsPerRoundMedian: median(rounds.map(({ seconds }) => seconds)),
    closingSecondsMedian: median(rounds.map(({ phases }) => phases.closing)),
    bytesPerRoundMedian: median(rounds.map(({ bytesUp, bytesDown }) => bytesUp + bytesDown)),
    hubRssBytes: rss.at(-1) ?? 0,
    hubPeakRssBytes: peak,
    hubRssGrowth: median(rss.slice(-tenth)) / early - 1,
  };
}

/** A command of this program in a process of its own. */
interface Child {
  readonly process: ChildProcess;
  readonly lines: Interface;
  /** Rejects when the process ends. */
  readonly ended: Promise<never>;
  stop(): Promise<void>;
}

/** Starts a command and waits for its first line. */
async function startProgram(words: readonly string[]): Promise<Child> {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1], ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<never>((_, reject) => {
    child.once('close', () =>
      reject(new TributaryError('demo.process-ended', `${words.join(' ')} has ended.`)),
    );
  });
  ended.catch(() => undefined); // also when it is stopped at the end
  const lines = createInterface({ input: child.stdout });
  await Promise.race([new Promise((resolve) => lines.once('line', resolve)), ended]);
  return {
    process: child,
    lines,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended.catch(() => undefined);
    },
  };
}

interface HubProcess extends Child {
  /** Collects so many rounds. */
  rounds(
    count: number,
    signal: AbortSignal,
    onRound: (round: Round, number: number) => void,
  ): Promise<Round[]>;
}

/** Starts `tributary hub start` and waits until it listens. */
async function startHubProcess(folder: string): Promise<HubProcess> {
  const child = await startProgram(['hub', 'start', '--dir', folder, '--log-level', 'warn']);
  const { lines, ended } = child;
  return {
    ...child,
    rounds: async (count, signal, onRound) => {
      const collected: Round[] = [];
      let last: Promise<void> = Promise.resolve();
      const all = new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        lines.on('line', (text) => {
          const parsed = roundShape.safeParse(JSON.parse(text));
          if (!parsed.success) return;
          last = last.then(async () => {
            const round = { ...parsed.data, rss: await rssOf(child.process.pid) };
            onRound(round, collected.length);
            collected.push(round);
            if (collected.length === count) resolve();
          });
        });
      });
      await Promise.race([all, ended]);
      return collected;
    },
  };
}

const rssOf = (pid: number | undefined): Promise<number> => memoryOf(pid, 'VmRSS');
const peakOf = (pid: number | undefined): Promise<number> => memoryOf(pid, 'VmHWM');

/** Bytes of a line of Linux's account of a process; 0 elsewhere. */
async function memoryOf(pid: number | undefined, line: 'VmRSS' | 'VmHWM'): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(new RegExp(`^${line}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}
