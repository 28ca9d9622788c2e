/** @file `tributary site`: the headless site, each in its folder. */

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { DEVICES } from '../../../core/engine/devices.ts';
import { TributaryError } from '../../../core/errors.ts';
import { askSite } from '../../../core/site/ask.ts';
import { requireSite } from '../../../core/site/folder.ts';
import type { FederationStatus, SiteStatus } from '../../../core/site/status.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { runs, wholeNumber } from '../command.ts';
import { addNetworkOptions, networkChanges, networkOptions } from '../network-options.ts';
import { logLevel, port } from '../options.ts';
import { startSiteProcess } from '../site-process.ts';
import type { SiteProcess } from '../site-process.ts';
import { askForWindow, showWindow } from '../window-address.ts';
import { register as registerData } from './site/data.ts';
import { askingSite as at, folder } from './site/folder.ts';

export function register(program: Command): void {
  const site = program.command('site').description('run the site of an institution');
  const data = site.command('data').description('the private datasets of this site');
  const command = (parent: Command, name: string, description: string): Command =>
    parent.command(name).description(description).requiredOption('--dir <folder>', 'folder of the site');

  /** Of a site with several federations one has to be named, unless the run says which. */
  const ofFederation = (name: string, description: string): Command =>
    command(site, name, description).option(
      '--federation <name>',
      'the federation, where this site has several',
    );

  addNetworkOptions(command(site, 'join', 'join a federation, also beside others'))
    .argument('<invitation>', 'the line tributary1.… from the coordinator')
    .option('--name <name>', 'name of this site, where the invitation leaves it open')
    .action(joinFederation);
  addNetworkOptions(command(site, 'start', 'take part in runs until SIGTERM'))
    .option('--model <path>', 'where a model lies that is not in the catalogue')
    .option('--device <name>', `where to compute: auto, ${DEVICES.join(', ')}; auto without it`)
    .option('--threads <number>', 'threads of the engine; all cores without it')
    .option('--log-level <level>', 'what site.log records', 'info')
    .action(start);
  addNetworkOptions(
    command(site, 'ui', 'take part in runs and open the window of this site, on this machine alone'),
  )
    .option('--port <number>', 'port of the window; 0 takes a free one', '0')
    .option('--open', 'open it in the browser of this machine')
    .option('--log-level <level>', 'what site.log records', 'info')
    .action(ui);
  registerData((name, description) => command(data, name, description));
  command(site, 'policy', 'show what this site allows, or set it')
    .option('--set <file>', 'JSON file with a new policy')
    .action(policy);
  ofFederation('approve', 'let a run, or every run within the policy, train on a dataset')
    .option('--run <id>', 'one run')
    .option('--standing', 'every plan within the policy')
    .requiredOption('--dataset <dataset>', 'name of the dataset')
    .action(approve);
  ofFederation('decline', 'take no part in a run, whatever was approved')
    .requiredOption('--run <id>', 'the run')
    .option('--reason <sentence>', 'what the coordinator reads')
    .action(decline);
  ofFederation('pause', 'stop at a run for now; the others go on')
    .requiredOption('--run <id>', 'the run')
    .option('--now', 'at once, without finishing the round')
    .action(pause);
  ofFederation('resume', 'go on with a run that was paused or declined')
    .requiredOption('--run <id>', 'the run')
    .action(resume);
  ofFederation('status', 'what this site is doing, and why it is not further').action(status);
  command(site, 'ledger', 'export the ledger as a file, for `audit verify`')
    .requiredOption('--out <file>', 'file to write')
    .action(exportLedger);
  command(
    site,
    'rotate-keys',
    'make new keys for this site, which its hubs enter in place of those before',
  ).action(rotateKeys);
  ofFederation('leave', 'leave the federation').action(leave);
  command(site, 'stop', 'stop the running site').action(stop);
}

const joinOptions = folder
  .extend({ invitation: z.string(), name: z.string().optional() })
  .extend(networkOptions.shape);
const joinFederation = runs(joinOptions, async ({ dir, invitation, name, ...network }, { output }) => {
  const joined = await askSite(at(dir), 'join', { invitation, name, network: networkChanges(network) });
  output.line(
    `${joined.site} is a member of ${joined.federation}. Compare the hub's fingerprint by telephone:`,
  );
  output.line(joined.fingerprint);
  output.result({ ...joined });
});

const startOptions = folder.extend(networkOptions.shape).extend({
  model: z.string().optional(),
  device: z.enum(['auto', ...DEVICES]).optional(),
  threads: wholeNumber(1).optional(),
  logLevel,
});
const start = runs(startOptions, async ({ dir, logLevel: level, ...said }, { output, interruption }) => {
  const { model, device, threads, ...network } = said;
  const interrupted = interruption();
  let told: readonly string[] = [];
  requireSite(dir);
  const site = await startSiteProcess({
    ...{ folder: dir, engine: { model, device, threads }, logLevel: level, resident: false },
    network: networkChanges(network),
    onNote: (sentence) => output.line(sentence),
    onStatus: (now) => {
      output.event('state', { ...now });
      const lines = federationsOf(now).map((each, _, { length }) => describe(each, length > 1));
      for (const line of lines) if (!told.includes(line)) output.line(line);
      told = lines;
    },
  });
  await untilStopped(site, interrupted);
  output.line('The site has stopped.');
  output.result({ stopped: true });
});

const uiOptions = folder
  .extend(networkOptions.shape)
  .extend({ port, open: z.boolean().default(false), logLevel });
const ui = runs(uiOptions, async ({ dir, port: wanted, open, logLevel: level, ...network }, context) => {
  const { output, interruption } = context;
  const interrupted = interruption();
  const known = await askForWindow(dir);
  if (known !== null) {
    await showWindow(known, { folder: dir, open }, context);
    output.result({ url: known });
    return;
  }
  const site = await startSiteProcess({
    ...{ folder: dir, engine: {}, logLevel: level, resident: true, port: wanted },
    network: networkChanges(network),
    onNote: (sentence) => output.line(sentence),
    onStatus: (now) => output.event('state', { ...now }),
  });
  try {
    await showWindow(await site.address(), { folder: dir, open }, context);
    output.line('The site runs until this command is stopped.');
    await untilStopped(site, interrupted, { evenBlocked: true });
  } finally {
    await site.close();
  }
  output.result({ stopped: true });
});

/** @throws what keeps the folder from being used, unless a window is there to say it */
async function untilStopped(
  { application, close }: SiteProcess,
  interrupted: AbortSignal,
  { evenBlocked = false } = {},
): Promise<void> {
  const onInterrupt = (): void => void close();
  interrupted.addEventListener('abort', onInterrupt);
  const blocked = application.blocked();
  if (interrupted.aborted || (blocked !== null && !evenBlocked)) onInterrupt();
  await application.stopped;
  await close();
  if (blocked !== null && !evenBlocked) throw blocked;
}

/** What there is to tell of each federation, or of the site without any. */
function federationsOf(now: SiteStatus): readonly FederationStatus[] {
  return now.federations.length === 0 ? [now] : now.federations;
}

function describe(
  { federation, state, run, round, rounds, phase, step, steps, loss, reason }: FederationStatus,
  isOneOfSeveral: boolean,
): string {
  const parts: string[] = [isOneOfSeveral ? `${federation}: ${state}` : state];
  if (state === 'working' && run !== null) {
    parts.push(run);
    if (round !== null) parts.push(`round ${round + 1} of ${rounds}`);
    if (phase !== null) parts.push(phase);
    if (step !== null)
      parts.push(`step ${step} of ${steps}${loss === null ? '' : `, loss ${loss.toFixed(4)}`}`);
  }
  return parts.join(', ') + (reason && `: ${reason}`);
}

const policy = runs(folder.extend({ set: z.string().optional() }), async ({ dir, set }, { output }) => {
  const request = set === undefined ? {} : { set: await readJson(set) };
  const answer = await askSite(at(dir), 'policy', request);
  output.line(JSON.stringify(answer.policy, null, 2));
  output.result(answer);
});

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('policy.invalid', `${path} is not JSON.`, { cause });
  }
}

/** A site's federation, which has to be named where it has several. */
const ofOne = folder.extend({ federation: z.string().optional() });

const approveOptions = ofOne.extend({
  run: z.string().optional(),
  standing: z.boolean().default(false),
  dataset: z.string(),
});
const approve = runs(approveOptions, async ({ dir, ...request }, { output }) => {
  const answer = await askSite(at(dir), 'approve', request);
  output.line(
    request.run === undefined
      ? `Every plan within the policy may train on ${request.dataset}.`
      : `${request.run} may train on ${request.dataset}. Its plan's hash: ${answer.planHash}`,
  );
  output.result(answer);
});

const declineOptions = ofOne.extend({ run: z.string(), reason: z.string().max(500).optional() });
const decline = runs(declineOptions, async ({ dir, run, ...request }, { output }) => {
  const answer = await askSite(at(dir), 'stopRun', { ...request, run, how: 'decline' });
  output.line(`This site takes no part in ${run}.`);
  output.result(answer);
});

const pauseOptions = ofOne.extend({ run: z.string(), now: z.boolean().default(false) });
const pause = runs(pauseOptions, async ({ dir, run, federation, now }, { output }) => {
  const how = now ? 'save' : 'finish-round';
  const answer = await askSite(at(dir), 'stopRun', { run, federation, how });
  output.line(now ? `This site has paused ${run}.` : `This site pauses ${run} once its round is closed.`);
  output.result(answer);
});

const resume = runs(ofOne.extend({ run: z.string() }), async ({ dir, ...request }, { output }) => {
  const answer = await askSite(at(dir), 'resumeRun', request);
  output.line(`This site goes on with ${request.run}.`);
  output.result(answer);
});

const status = runs(ofOne, async ({ dir, federation }, { output }) => {
  const now = await askSite(at(dir), 'status', { federation });
  const all = federationsOf(now);
  for (const each of all) {
    output.line(describe(each, all.length > 1));
    if (each.siteFingerprint !== null) {
      const [site, hub] = [each.siteFingerprint, each.hubFingerprint].map((print) => print?.slice(0, 19));
      output.line(`fingerprints: this site ${site}, hub ${hub}`);
    }
    if (each.uncheckedCertificate !== null) {
      output.line(
        `The certificate of ${each.hub} is not believed (${each.uncheckedCertificate}); the hub has proven its own key.`,
      );
    }
    for (const { id, state, reason } of each.runs) output.line(`  ${id}: ${state}${reason && `, ${reason}`}`);
  }
  output.line(`${formatBytes(now.leftThisMachine.bytes)} have left this machine.`);
  output.result({ ...now });
});

const exportLedger = runs(folder.extend({ out: z.string() }), async ({ dir, out }, { output }) => {
  const made = await askSite(at(dir), 'ledger', { out });
  output.line(`${made.entries} entries are written to ${made.out}.`);
  output.result(made);
});

const rotateKeys = runs(folder, async ({ dir }, { output }) => {
  const answer = await askSite(at(dir), 'rotateKeys', {});
  output.line(
    answer.pending
      ? 'New keys are made; they count once the hub has entered them.'
      : 'The hub has entered the new keys.',
  );
  output.result(answer);
});

const leave = runs(ofOne, async ({ dir, federation }, { output }) => {
  const left = await askSite(at(dir), 'leave', { federation });
  output.line(`This site is no longer a member of ${left.federation}.`);
  output.result(left);
});

const stop = runs(folder, async ({ dir }, { output }) => {
  const answer = await askSite(at(dir), 'stop', {});
  output.line(answer.stopped ? 'The site is stopping.' : 'No site is running there.');
  output.result(answer);
});
