/** @file `tributary hub init`, `start`, `ui` and `stop`: the hub as a process. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { TributaryError } from '../../../../core/errors.ts';
import { hubUrlShape } from '../../../../core/federation/invitation.ts';
import { askHub } from '../../../../core/hub/ask.ts';
import { initHub, requireHub } from '../../../../core/hub/folder.ts';
import type { Hub, HubOptions } from '../../../../core/hub/hub.ts';
import { runs } from '../../command.ts';
import { startHubProcess } from '../../hub-process.ts';
import { collect, logLevel, port } from '../../options.ts';
import { askForWindow, showWindow } from '../../window-address.ts';
import { describeEvent } from './events.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('init', 'make a hub: its keys and its database')
    .requiredOption('--name <name>', 'name of the federation')
    .option('--url <url>', 'address that invitations carry, such as wss://… (repeatable)', collect)
    .action(init);
  command('start', 'run the hub until SIGTERM')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port; 0 takes a free one and keeps it', '0')
    .option(
      '--webhook <url>',
      'address that is told of every event, signed with the secret in webhook.secret',
    )
    .option('--tls-certificate <file>', 'PEM file, to speak TLS without a proxy')
    .option('--tls-key <file>', 'PEM file of its key')
    .option('--log-level <level>', 'what hub.log records', 'info')
    .action(start);
  command('ui', 'open the window of this hub, on this machine alone; runs the hub where it does not run yet')
    .option('--port <number>', 'port of the window; 0 takes a free one', '0')
    .option('--open', 'open it in the browser of this machine')
    .option('--log-level <level>', 'what hub.log records', 'info')
    .action(ui);
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

const startOptions = folder.extend({
  host: z.string(),
  port,
  webhook: z.url({ protocol: /^https?$/ }).optional(),
  tlsCertificate: z.string().optional(),
  tlsKey: z.string().optional(),
  logLevel,
});

const start = runs(startOptions, async (input, { output, interruption }) => {
  const { dir, host, port, webhook, logLevel } = input;
  const interrupted = interruption();
  const { hub } = await startHubProcess({
    ...{ folder: dir, host, port, webhook, logLevel },
    tls: await readTls(input),
    onEvent: (event) => {
      const { type, ...fields } = event;
      output.event(type, fields);
      output.line(describeEvent(event));
    },
  });
  await untilStopped(hub, interrupted);
  output.line('The hub has stopped.');
  output.result({ stopped: true });
});

const uiOptions = folder.extend({ port, open: z.boolean().default(false), logLevel });
const ui = runs(uiOptions, async ({ dir, port: windowPort, open, logLevel }, context) => {
  const { output, interruption } = context;
  const interrupted = interruption();
  requireHub(dir);
  const known = await askForWindow(dir);
  if (known !== null) {
    await showWindow(known, { folder: dir, open }, context);
    output.result({ url: known });
    return;
  }
  const { hub, address } = await startHubProcess({
    ...{ folder: dir, windowPort, logLevel },
    // `listening` is the window's address here; where sites come to stands in the window.
    onEvent: ({ type, ...fields }) => {
      if (type !== 'listening') output.event(type, fields);
    },
  });
  try {
    await showWindow(await address(), { folder: dir, open }, context);
    output.line('The hub runs until this command is stopped.');
    await untilStopped(hub, interrupted);
  } finally {
    await hub.stop();
  }
  output.result({ stopped: true });
});

async function untilStopped(hub: Hub, interrupted: AbortSignal): Promise<void> {
  const onInterrupt = (): void => void hub.stop();
  interrupted.addEventListener('abort', onInterrupt);
  if (interrupted.aborted) onInterrupt();
  await hub.stopped;
}

async function readTls({
  tlsCertificate,
  tlsKey,
}: z.output<typeof startOptions>): Promise<HubOptions['tls']> {
  if (tlsCertificate === undefined && tlsKey === undefined) return undefined;
  if (tlsCertificate === undefined || tlsKey === undefined) {
    throw new TributaryError('usage.invalid', '--tls-certificate and --tls-key belong together.');
  }
  return { certificate: await readFile(tlsCertificate, 'utf8'), key: await readFile(tlsKey, 'utf8') };
}

const stop = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'stop', {});
  output.line(answer.stopped ? 'The hub is stopping.' : 'No hub is running there.');
  output.result(answer);
});
