/** @file A hub's window: a client over the loopback server leads a real hub with scripted sites. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { openHubWindow } from '../../core/bridge/hub/window.ts';
import type { HubWindow } from '../../core/bridge/hub/window.ts';
import type { Input, Output, RequestName } from '../../core/bridge/contract.ts';
import { serveWindow } from '../../core/bridge/server.ts';
import type { WindowServer } from '../../core/bridge/server.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { cleanUp, createFederation, joinSite, temporaryFolder } from '../helpers/federation.ts';
import type { TestFederation } from '../helpers/federation.ts';
import { until } from '../helpers/until.ts';

/** What a page does with the bridge, over the same socket. */
interface Client {
  ask<Name extends RequestName>(name: Name, input: Input<Name>): Promise<Output<Name>>;
  readonly events: { readonly event: string; readonly body: unknown }[];
  close(): void;
}

const lineShape = z.union([
  z.object({ id: z.int(), output: z.unknown() }),
  z.object({ id: z.int(), error: z.looseObject({ code: z.string(), message: z.string() }) }),
  z.object({ event: z.string(), body: z.unknown() }),
]);

async function signIn(address: string): Promise<Client> {
  const { origin, host, hash } = new URL(address);
  const signed = await fetch(`${origin}/session`, {
    method: 'POST',
    headers: { origin },
    body: hash.slice('#token='.length),
  });
  const cookie = signed.headers.get('set-cookie')?.split(';')[0] ?? '';
  const socket = new WebSocket(`ws://${host}/bridge`, { headers: { origin, cookie } });
  const waiting = new Map<number, { resolve: (output: never) => void; reject: (error: unknown) => void }>();
  const events: Client['events'] = [];
  socket.on('message', (data: Buffer) => {
    const line = lineShape.parse(JSON.parse(data.toString('utf8')));
    if ('event' in line) events.push(line);
    else if ('error' in line) waiting.get(line.id)?.reject(line.error);
    else waiting.get(line.id)?.resolve(line.output as never);
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let count = 0;
  return {
    ask: (name, input) =>
      new Promise((resolve, reject) => {
        const id = (count += 1);
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, name, input }));
      }),
    events,
    close: () => socket.terminate(),
  };
}

const plan = {
  name: 'Small run',
  model: 'tiny',
  adapter: { rank: 2, alpha: 4 },
  federation: { rounds: 2, minSites: 2, deadline: '1h' },
};

let federation: TestFederation;
let window: HubWindow;
let server: WindowServer;
let client: Client;

beforeEach(async () => {
  federation = await createFederation();
  const { folder, hub } = federation;
  window = openHubWindow({
    ...{ folder, hub },
    program: { software: 'tributary test', version: '0', surface: 'browser', secrets: 'file' },
  });
  server = await serveWindow({ dispatcher: window.dispatcher, pages: folder });
  client = await signIn(server.address());
});

afterEach(async () => {
  client.close();
  await server.close();
  await window.close();
  await cleanUp();
});

test('belongs to a hub and says which federation it leads', async () => {
  expect(await client.ask('app.state', {})).toMatchObject({
    ...{ role: 'hub', stage: 'member', federation: 'clinics', site: null },
  });
  const status = await client.ask('hub.status', {});
  expect(status).toMatchObject({ running: true, sites: { members: 0, connected: 0 }, runs: [] });
  expect(status.urls).toEqual([federation.hub.url]);
  expect((await client.ask('hub.problems', {})).problems).toEqual([]);
});

test('knows nothing of rows, models of a site, or its policy', async () => {
  await expect(client.ask('data.list', {})).rejects.toMatchObject({ code: 'bridge.unknown-request' });
  await expect(client.ask('privacy.policy', {})).rejects.toMatchObject({ code: 'bridge.unknown-request' });
});

test('invites: a line, a link, a picture; listed without its secret and crossed off once it is used', async () => {
  const made = await client.ask('hub.invite', { site: 'north', seconds: 3600 });
  expect(parseInvitation(made.invitation)).toMatchObject({ federation: 'clinics', site: 'north' });
  expect(made.link).toBe(`tributary://join/${made.invitation}`);
  expect(made.fingerprint).toBe((await client.ask('hub.status', {})).fingerprint);
  const svg = Buffer.from(made.qr.replace('data:image/svg+xml;base64,', ''), 'base64').toString('utf8');
  expect(svg).toMatch(/^<svg .*<path /s);

  await joinSite(federation, 'south');
  const { invitations } = await client.ask('hub.invitations', {});
  expect(invitations.map(({ site, state, usedBy }) => [site, state, usedBy])).toEqual([
    ['south', 'used', 'south'],
    ['north', 'open', null],
  ]);
  expect(JSON.stringify(invitations)).not.toContain(made.invitation.slice(-40));
});

test('lets another device take the place of a lost one, with an invitation that says so', async () => {
  await joinSite(federation, 'north');
  const keys = async () => (await client.ask('hub.sites', {})).sites.map(({ fingerprint }) => fingerprint);
  const [lost] = await keys();
  await expect(client.ask('hub.invite', { site: 'north' })).rejects.toMatchObject({
    code: 'site.name-taken',
  });
  const { invitation } = await client.ask('hub.invite', { site: 'north', replace: true });
  const { invitations } = await client.ask('hub.invitations', {});
  expect(invitations.map(({ site, replaces, state }) => [site, replaces, state])).toEqual([
    ['north', true, 'open'],
    ['north', false, 'used'],
  ]);
  await joinSite({ ...federation, invite: () => Promise.resolve(invitation) }, 'north');
  expect(await keys()).not.toEqual([lost]);
  expect(await client.ask('hub.status', {})).toMatchObject({ sites: { members: 1 }, formerKeys: false });
});

test('leads a run from the proposal to its adapter', async () => {
  let hold = true;
  await joinSite(federation, 'north', {
    on: async (message) => {
      if (message.type !== 'round-start' || !hold) return true;
      hold = false;
      await client.ask('hub.control', { run: message.run, action: { kind: 'pause', reason: 'holidays' } });
      return true;
    },
  });
  await joinSite(federation, 'south');
  const { run } = await client.ask('hub.propose', { plan });
  await until(async () => {
    expect((await client.ask('hub.run', { run })).run).toMatchObject({ state: 'paused', phase: 'holding' });
  });
  const { sites } = await client.ask('hub.sites', {});
  expect(sites.map(({ name, runs }) => [name, runs.map(({ reason }) => reason)])).toEqual([
    ['north', ['waiting for the run to be resumed']],
    ['south', ['waiting for the run to be resumed']],
  ]);

  await client.ask('hub.control', { run, action: { kind: 'extend', deadline: 7200 } });
  await client.ask('hub.control', { run, action: { kind: 'resume' } });
  await until(async () => {
    expect((await client.ask('hub.runs', {})).runs[0]).toMatchObject({ id: run, state: 'completed' });
  });
  const { run: ended, plan: approved } = await client.ask('hub.run', { run });
  expect(approved).toMatchObject({ name: 'Small run', training: { steps: 10 } });
  expect(ended.history.map(({ round, cohort }) => [round, cohort])).toEqual([
    [0, ['north', 'south']],
    [1, ['north', 'south']],
  ]);
  expect(ended.history[0].bytesUp).toBeGreaterThan(0);
  expect(ended.history[0].sites.map(({ name }) => name)).toEqual(['north', 'south']);

  const folder = join(temporaryFolder(), 'adapter');
  expect(await client.ask('hub.export', { run, folder, round: 2 })).toEqual({ folder, round: 2 });
  expect(existsSync(join(folder, 'adapter_model.safetensors'))).toBe(true);
  expect(await client.ask('hub.export', { run, folder })).toEqual({ folder, round: 2 });
  // A run that has ended keeps its adapter alone; the aggregates before it go shortly after.
  await until(async () => {
    const earlier = client.ask('hub.export', { run, folder, round: 1 });
    await expect(earlier).rejects.toMatchObject({ code: 'run.round-gone' });
  });
  await expect(
    client.ask('hub.control', { run, action: { kind: 'stop', reason: '' } }),
  ).rejects.toMatchObject({ code: 'run.not-open' });

  const { total, entries } = await client.ask('ledger.page', { limit: 5 });
  expect(total).toBeGreaterThan(10);
  expect(entries.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5].map((back) => total - back));
  expect(entries.some(({ body }) => body.run === run)).toBe(true);
  const exported = join(folder, 'ledger.jsonl');
  await client.ask('ledger.export', { path: exported });
  expect(await verifyLedger(exported)).toMatchObject({ verified: true, entries: total });
  expect(await client.ask('ledger.verify', {})).toMatchObject({ verified: true, firstBroken: null });

  const told = client.events.filter(({ event }) => event === 'status');
  expect(told.length).toBeGreaterThan(2);
});

test('ends a membership, and the site is cut off', async () => {
  const north = await joinSite(federation, 'north');
  await client.ask('hub.revoke', { site: 'north' });
  await north.control().closed;
  const { sites } = await client.ask('hub.sites', {});
  expect(sites).toMatchObject([{ name: 'north', connected: false, revoked: expect.any(Number) as number }]);
  expect((await client.ask('hub.status', {})).sites.members).toBe(0);
  await expect(client.ask('hub.revoke', { site: 'nobody' })).rejects.toMatchObject({ code: 'site.unknown' });
});

test('explains each field of a plan and offers plans to begin with, all of them free of mistakes', async () => {
  const { schema } = await client.ask('hub.plan.schema', {});
  expect(undescribed(schema)).toEqual([]);
  const { presets } = await client.ask('hub.plan.presets', {});
  expect(presets[0].id).toBe('first-answers');
  for (const preset of presets.filter(({ id }) => id.startsWith('first-'))) {
    const checked = await client.ask('hub.plan.check', { plan: preset.plan });
    expect(checked.problems).toEqual([]);
    expect(checked.plan).toMatchObject({ federation: { strategy: { name: 'fedavg' } } });
  }
});

test('says of a plan all that is wrong, and proposes none of it', async () => {
  const wrong = {
    ...plan,
    adapter: { variant: 'rolora' },
    federation: { mode: 'private', strategy: { name: 'fedadam' } },
  };
  const { problems, plan: none } = await client.ask('hub.plan.check', { plan: wrong });
  expect(none).toBeNull();
  expect(problems.map(({ field }) => field)).toEqual(['adapter.variant', 'federation.mode']);
  await expect(client.ask('hub.propose', { plan: wrong })).rejects.toMatchObject({
    code: 'plan.unsupported',
  });

  const { rehearsal } = await client.ask('hub.rehearse', { plan });
  const report = await client.ask('hub.rehearsal', { rehearsal });
  expect(report).toMatchObject({ settled: true, forecast: { sites: 0, secondsPerRound: null } });
  expect(report.forecast.bytesPerRound.perSite.up).toBeGreaterThan(0);

  const unknown = await client.ask('hub.plan.check', { plan: { ...plan, model: 'no-such-model' } });
  expect(unknown.problems).toMatchObject([{ field: 'model' }]);
  expect((await client.ask('hub.status', {})).runs).toEqual([]);
});

/** Paths of fields without a meaning; of a choice of objects the fields of each are looked at. */
function undescribed(schema: unknown, path: readonly string[] = []): string[] {
  const { properties = {}, oneOf = [] } = z
    .looseObject({
      properties: z.record(z.string(), z.unknown()).optional(),
      oneOf: z.array(z.unknown()).optional(),
    })
    .parse(schema);
  const meaningless = Object.entries(properties).flatMap(([name, field]) => {
    const here = [...path, name];
    const { description, const: constant } = z
      .looseObject({ description: z.string().optional(), const: z.json().optional() })
      .parse(field);
    const missing = description === undefined && constant === undefined ? [here.join('.')] : [];
    return [...missing, ...undescribed(field, here)];
  });
  return [...meaningless, ...oneOf.flatMap((choice) => undescribed(choice, path))];
}
