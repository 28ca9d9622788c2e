/** @file `tributary hub`: the headless hub, each in its folder. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { hubUrlShape } from '../../../core/federation/invitation.ts';
import type { Metrics } from '../../../core/federation/metrics.ts';
import { askHub } from '../../../core/hub/ask.ts';
import type { HubEvent } from '../../../core/hub/context.ts';
import { initHub, requireHub } from '../../../core/hub/folder.ts';
import { startHub } from '../../../core/hub/hub.ts';
import { runs } from '../command.ts';
import { formatBytes, formatSeconds, formatTable } from '../format.ts';
import { collect, duration, logLevel, port } from '../options.ts';
import { readPlanFile } from '../plan-file.ts';

const folder = z.object({ dir: z.string() });

export function register(program: Command): void {
  const hub = program.command('hub').description('run the hub of a federation');
  const command = (name: string, description: string): Command =>
    hub.command(name).description(description).requiredOption('--dir <folder>', 'folder of the hub');

  command('init', 'make a hub: its keys and its database')
    .requiredOption('--name <name>', 'name of the federation')
    .option('--url <url>', 'address that invitations carry, such as wss://… (repeatable)', collect)
    .action(init);
  command('start', 'run the hub until SIGTERM')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port; 0 takes a free one and keeps it', '0')
    .option('--log-level <level>', 'what hub.log records', 'info')
    .action(start);
  command('invite', 'make an invitation, which admits one site once')
    .option('--site <name>', 'name the site must take')
    .option('--expires <duration>', 'how long the invitation is valid', '7d')
    .action(invite);
  command('sites', 'the members').action(sites);
  command('revoke', 'end a membership').argument('<site>', 'name of the site').action(revoke);
  command('propose', 'propose a run to all sites')
    .argument('<plan>', 'JSON or YAML file')
    .option('--start <folder>', 'PEFT folder that the run goes on from; the reference of a run with dpo')
    .action(propose);
  command('runs', 'all runs in short').action(listRuns);
  command('status', 'where every run stands, and why it is not further').action(status);
  command('cancel', 'end a run').argument('<run>', 'id of the run').option('--reason <text>').action(cancel);
  command('export', 'write the adapter of a completed run as a PEFT folder')
    .requiredOption('--run <id>', 'id of the run')
    .requiredOption('--out <folder>', 'folder to write')
    .action(exportAdapter);
  command('ledger', 'export the ledger as a file, for `audit verify`')
    .requiredOption('--out <file>', 'file to write')
    .action(exportLedger);
  command('stop', 'stop the running hub').action(stop);
}

const init = runs(
  folder.extend({ name: z.string().min(1), url: z.array(hubUrlShape).default([]) }),
  async (input, { output }) => {
    const made = await initHub({ folder: input.dir, name: input.name, urls: input.url });
    output.line(
      `The hub of ${input.name} is ready in ${input.dir}. Its fingerprint, to compare with the sites:`,
    );
    output.line(made.fingerprint);
    output.result(made);
  },
);

const startOptions = folder.extend({ host: z.string(), port, logLevel });

const start = runs(startOptions, async ({ dir, host, port, logLevel: level }, { output, interruption }) => {
  const interrupted = interruption();
  requireHub(dir);
  const log = pino({ level }, pino.destination({ dest: join(dir, 'hub.log'), sync: true, mode: 0o600 }));
  const hub = await startHub({
    folder: dir,
    host,
    port,
    log,
    onEvent: (event) => {
      const { type, ...fields } = event;
      output.event(type, fields);
      output.line(describeEvent(event));
    },
  });
  const onInterrupt = (): void => void hub.stop();
  interrupted.addEventListener('abort', onInterrupt);
  if (interrupted.aborted) onInterrupt();
  await hub.stopped;
  output.line('The hub has stopped.');
  output.result({ stopped: true });
});

function describeEvent(event: HubEvent): string {
  switch (event.type) {
    case 'listening':
      return `Listening on ${event.url}`;
    case 'joined':
      return `${event.site} has joined the federation.`;
    case 'connected':
      return `${event.site} is here.`;
    case 'disconnected':
      return `${event.site} has gone: ${event.reason}`;
    case 'proposed':
      return `${event.run} is proposed.`;
    case 'started':
      return `${event.run} has started.`;
    case 'approved':
      return `${event.site} takes part in ${event.run} with ${event.examples} examples.`;
    case 'declined':
      return `${event.site} declines ${event.run}: ${event.reason}`;
    case 'update':
      return `${event.run}, round ${event.round + 1}: the update of ${event.site} is in.`;
    case 'refused':
      return `${event.run}, round ${event.round + 1}: the update of ${event.site} was refused: ${event.reason}`;
    case 'round':
      return (
        `${event.run}, round ${event.round + 1} is closed: loss ${event.loss.toFixed(4)} at ` +
        `${event.cohort.join(', ')}${describeMetrics(event.metrics)}; ${formatBytes(event.bytesUp)} up, ${formatBytes(event.bytesDown)} down, ` +
        `${formatSeconds(event.seconds)}.`
      );
    case 'ended':
      return `${event.run} is ${event.state}${event.reason && `: ${event.reason}`}.`;
  }
}

/** How far pairs are told apart, where a round has trained on them. */
function describeMetrics({ preferenceAccuracy, preferenceMargin }: Metrics): string {
  if (preferenceAccuracy === undefined || preferenceMargin === undefined) return '';
  return `, preference accuracy ${preferenceAccuracy.toFixed(3)}, margin ${preferenceMargin.toFixed(3)}`;
}

const invite = runs(
  folder.extend({ site: z.string().optional(), expires: duration }),
  async (input, { output }) => {
    const made = await askHub(input.dir, 'invite', { site: input.site, seconds: input.expires });
    output.line(made.invitation);
    output.result(made);
  },
);

const sites = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'sites', {});
  const rows = answer.sites.map(({ name, connected, joined, revoked }) => [
    name,
    revoked === null ? (connected ? 'here' : 'away') : 'revoked',
    new Date(joined * 1000).toISOString().slice(0, 10),
  ]);
  for (const line of formatTable(['site', 'state', 'joined'], rows)) output.line(line);
  output.result(answer);
});

const revoke = runs(folder.extend({ site: z.string() }), async ({ dir, site }, { output }) => {
  output.result(await askHub(dir, 'revoke', { site }));
  output.line(`${site} is no longer a member.`);
});

const proposeOptions = folder.extend({ plan: z.string(), start: z.string().optional() });
const propose = runs(proposeOptions, async ({ dir, plan: file, start }, { output }) => {
  const { plan, model, configuration } = await readPlanFile(file);
  const made = await askHub(dir, 'propose', { plan, model, configuration, start });
  output.line(`${made.run} is proposed; the sites are asked. Its plan's hash: ${made.planHash}`);
  output.result(made);
});

const listRuns = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'runs', {});
  const rows = answer.runs.map((run) => [
    run.id,
    run.state,
    run.round === null ? '–' : `${run.round + 1} of ${run.rounds}`,
    run.planHash.slice(0, 12),
  ]);
  for (const line of formatTable(['run', 'state', 'round', 'plan'], rows)) output.line(line);
  output.result(answer);
});

const status = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'status', {});
  output.line(`${answer.federation}: the hub ${answer.running ? 'is running' : 'is not running'}.`);
  for (const { id, state, round, rounds, phase, reason, sites: members } of answer.runs) {
    const where = round === null ? '' : `, round ${round + 1} of ${rounds}`;
    output.line(`${id}: ${state}${where}, ${phase}${reason && `: ${reason}`}`);
    for (const site of members)
      output.line(`  ${site.name}: ${site.state}${site.reason && `, ${site.reason}`}`);
  }
  output.result(answer);
});

const cancelOptions = folder.extend({ run: z.string(), reason: z.string().optional() });
const cancel = runs(cancelOptions, async ({ dir, run, reason }, { output }) => {
  output.result(await askHub(dir, 'cancel', { run, reason }));
  output.line(`${run} is cancelled.`);
});

const exportOptions = folder.extend({ run: z.string(), out: z.string() });
const exportAdapter = runs(exportOptions, async ({ dir, run, out }, { output }) => {
  const made = await askHub(dir, 'export', { run, out });
  output.line(`The adapter of ${run} lies in ${made.adapter}.`);
  output.result(made);
});

const exportLedger = runs(folder.extend({ out: z.string() }), async ({ dir, out }, { output }) => {
  const made = await askHub(dir, 'ledger', { out });
  output.line(`${made.entries} entries are written to ${made.file}.`);
  output.result(made);
});

const stop = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'stop', {});
  output.line(answer.stopped ? 'The hub is stopping.' : 'No hub is running there.');
  output.result(answer);
});
