/**
 * @file `tributary bench hub`: rounds without training. The hub is a process of its own as `hub start` runs it, the
 * sites share this process; they connect, approve, fetch, send and countersign as real ones do, but what they train is
 * one sum.
 */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { readPlan } from '../../../core/federation/plan.ts';
import { askHub } from '../../../core/hub/ask.ts';
import { initHub } from '../../../core/hub/folder.ts';
import type { ModelConfiguration } from '../../../core/model/configuration.ts';
import { askSite } from '../../../core/site/ask.ts';
import { startSite } from '../../../core/site/site.ts';
import type { Site } from '../../../core/site/site.ts';
import type { RoundTrainer } from '../../../core/site/trainer.ts';
import { runs, wholeNumber } from '../command.ts';
import { formatBytes } from '../format.ts';

const SOFTWARE = 'tributary bench';
const ROWS = 8;

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
  const sites: Site[] = [];
  let hub: HubProcess | undefined;
  try {
    const folder = join(root, 'hub');
    await initHub({ folder, name: 'bench' });
    hub = await startHubProcess(folder);
    for (let at = 0; at < input.sites; at++) sites.push(await enterSite(folder, root, at));
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
    await Promise.all(sites.map((site) => site.stop()));
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

/** Joins a site to the hub and starts it. */
async function enterSite(hub: string, root: string, at: number): Promise<Site> {
  const name = `site-${String(at).padStart(3, '0')}`;
  const folder = join(root, name);
  await mkdir(folder);
  const file = join(folder, 'rows.jsonl');
  const row = JSON.stringify({ instruction: 'What is this?', response: 'A measurement.' });
  await writeFile(file, `${row}\n`.repeat(ROWS));
  const { invitation } = await askHub(hub, 'invite', { site: name });
  const options = { folder, software: SOFTWARE };
  await askSite(options, 'join', { invitation, name });
  await askSite(options, 'import', { file, as: 'rows' });
  await askSite(options, 'approve', { standing: true, dataset: 'rows' });
  return startSite({ ...options, trainer: addingTrainer(1e-4 * (at + 1)) });
}

/** Adds a small pattern to the base, so that updates differ between sites and rounds. */
function addingTrainer(scale: number): RoundTrainer {
  return {
    train: ({ base, examples }) => {
      const adapter = new Map(
        [...base].map(([name, { shape, data }]) => [
          name,
          { shape, data: data.map((value, index) => value + scale * ((index % 7) - 3)) },
        ]),
      );
      return Promise.resolve({ adapter, loss: 1, examples: examples.length, supervisedTokens: 1 });
    },
    evaluate: ({ examples }) => Promise.resolve({ loss: 1, examples: examples.length }),
    close: () => Promise.resolve(),
  };
}

interface HubProcess {
  readonly process: ChildProcess;
  /** Collects so many rounds. */
  rounds(
    count: number,
    signal: AbortSignal,
    onRound: (round: Round, number: number) => void,
  ): Promise<Round[]>;
  stop(): Promise<void>;
}

/** Starts `tributary hub start` and waits until it listens. */
async function startHubProcess(folder: string): Promise<HubProcess> {
  const words = [
    ...process.execArgv,
    process.argv[1],
    'hub',
    'start',
    '--dir',
    folder,
    '--log-level',
    'warn',
    '--json',
  ];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<never>((_, reject) => {
    child.once('close', () => reject(new TributaryError('demo.process-ended', 'The hub has ended.')));
  });
  ended.catch(() => undefined); // also when it is stopped at the end
  const lines = createInterface({ input: child.stdout });
  await Promise.race([new Promise((resolve) => lines.once('line', resolve)), ended]);
  return {
    process: child,
    rounds: async (count, signal, onRound) => {
      const collected: Round[] = [];
      let last: Promise<void> = Promise.resolve();
      const all = new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        lines.on('line', (text) => {
          const parsed = roundShape.safeParse(JSON.parse(text));
          if (!parsed.success) return;
          last = last.then(async () => {
            const round = { ...parsed.data, rss: await rssOf(child.pid) };
            onRound(round, collected.length);
            collected.push(round);
            if (collected.length === count) resolve();
          });
        });
      });
      await Promise.race([all, ended]);
      return collected;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await ended.catch(() => undefined);
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
