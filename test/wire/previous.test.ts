/**
 * @file A run of version 1 of the wire, as it was recorded, played against today's hub and against today's site: what
 * a site sent then is taken, what a hub answers now is what was answered then, and the reverse. A new version of the
 * wire is recorded with TRIBUTARY_RECORD_WIRE=1; a recording of a version that was released never changes.
 */

import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import type * as framing from '../../core/federation/framing.ts';
import { answerHandshake } from '../../core/federation/handshake.ts';
import { sign } from '../../core/federation/identity.ts';
import { encodeInvitation, parseInvitation } from '../../core/federation/invitation.ts';
import { decodeMessage, encodeMessage, PROTOCOL_VERSIONS } from '../../core/federation/messages.ts';
import type { Message, SocketRole } from '../../core/federation/messages.ts';
import { openPlan } from '../../core/federation/plan.ts';
import { countersignStatement } from '../../core/federation/statements.ts';
import { writeInitialState } from '../../core/hub/closing.ts';
import type { HubContext } from '../../core/hub/context.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub } from '../../core/hub/hub.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { smallIdentity, smallModel, smallPlan } from '../helpers/federation.ts';
import { removeFolder } from '../helpers/folders.ts';
import { federationOf, importRows, makeTrainer, SOFTWARE, start } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { dialLine, makeLine } from './line.ts';
import type { Line } from './line.ts';
import {
  identityOf,
  isIncidental,
  keysOf,
  open,
  plantKeys,
  readRecording,
  writeRecording,
} from './recording.ts';
import type { RecordedFrame, Recording } from './recording.ts';

/** What the hub's sockets seal and open, while a recording is made. */
const tap = vi.hoisted(() => ({
  frame: undefined as
    ((from: 'site' | 'hub', peer: Uint8Array, plaintext: Uint8Array, on: object) => void) | undefined,
}));
vi.mock('../../core/federation/framing.ts', async (importOriginal) => {
  const real = await importOriginal<typeof framing>();
  return {
    ...real,
    sealFrame: ((transport, ...parts) => {
      tap.frame?.('hub', transport.remoteStatic, Buffer.concat(parts), transport);
      return real.sealFrame(transport, ...parts);
    }) as typeof real.sealFrame,
    openFrame: ((transport, message) => {
      const plaintext = real.openFrame(transport, message);
      tap.frame?.('site', transport.remoteStatic, plaintext, transport);
      return plaintext;
    }) as typeof real.openFrame,
  };
});

/** Sites of a recording, with keys that stand for all time. */
const keysOfSites = {
  'clinic-a': { ed25519: '1a'.repeat(32), x25519: '2a'.repeat(32) },
  'clinic-b': { ed25519: '1b'.repeat(32), x25519: '2b'.repeat(32) },
};
let root: string;
let hub: Hub | undefined;
const sites: Site[] = [];
const closing: (() => void)[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-wire-'));
});
afterEach(async () => {
  for (const close of closing.splice(0)) close();
  for (const site of sites.splice(0)) await site.stop();
  await hub?.stop();
  hub = undefined;
  await removeFolder(root);
});

/** A hub of the recorded keys, or of fresh ones. */
async function openHub(recording?: Recording): Promise<Hub> {
  const folder = join(root, 'hub');
  if (recording !== undefined) plantKeys(folder, identityOf(recording.hub));
  await initHub({ folder, name: 'clinics' });
  return startHub({ folder, heartbeatSeconds: 5 });
}

/** Enters a run as it was proposed then: a hub that was updated finds it in its database. */
async function enterRun(
  { runs, store, blobs }: HubContext,
  proposed: Pick<Recording, 'run' | 'plan' | 'planHash'>,
) {
  const plan = openPlan(proposed.plan, proposed.planHash);
  const begin = await writeInitialState(blobs, plan, initialAdapter(smallModel, plan.adapter, plan.seed));
  const { run: id, planHash } = proposed;
  store.transition('propose', () => {
    runs.insertRun({
      id,
      number: 1,
      plan: proposed.plan,
      planHash,
      configuration: JSON.stringify(smallModel),
    });
    runs.insertRound({ run: id, number: 0, ...begin });
    runs.putBroadcast(id, 0, begin);
    store.ledger.append('plan', { run: id, planHash, plan: proposed.plan });
  });
}

/** Joins a site with keys of its own or planted ones, gives it rows, and approves what will come. */
async function prepareSite(name: string, invitation: string): Promise<string> {
  const folder = join(root, name);
  await askSite({ folder, software: SOFTWARE }, 'join', { invitation, name });
  await importRows(folder, 12);
  await askSite({ folder, software: SOFTWARE }, 'approve', { standing: true, dataset: 'notes' });
  return folder;
}

it.runIf(process.env['TRIBUTARY_RECORD_WIRE'] === '1')('is recorded', async () => {
  hub = await openHub();
  const frames: RecordedFrame[] = [];
  const connections: Recording['connections'] = [];
  const known = new Map<object, number>();
  const names = new Map<string, string>();
  tap.frame = (from, peer, plaintext, transport) => {
    const site = names.get(Buffer.from(peer).toString('hex'));
    if (site === undefined) return; // a site's end of the socket: its peer is the hub
    const index = known.get(transport) ?? connections.length;
    if (index === connections.length) {
      known.set(transport, index);
      const decoded = decodeMessage(plaintext, 'site', 'control');
      const role =
        'message' in decoded && decoded.message.type === 'hello' ? decoded.message.role : 'control';
      const isNew = connections.every((connection) => connection.site !== site);
      connections.push({ site, role, kind: isNew ? 'join' : 'member' });
    }
    const decoded = decodeMessage(plaintext, from, connections[index].role);
    if (!('message' in decoded) || isIncidental(decoded.message.type)) return;
    const hex = Buffer.from(plaintext).toString('hex');
    frames.push({ connection: index, from, type: decoded.message.type, hex });
  };
  for (const [name, keys] of Object.entries(keysOfSites)) {
    const identity = identityOf(keys);
    names.set(Buffer.from(identity.x25519.publicKey).toString('hex'), name);
    plantKeys(join(root, name), identity);
    await prepareSite(name, (await hub.ask('invite', { site: name })).invitation);
  }
  const { run, planHash } = await hub.ask('propose', {
    plan: smallPlan({ rounds: 2, codec: 'int8' }),
    ...{ model: smallIdentity, configuration: smallModel },
  });
  for (const name of Object.keys(keysOfSites)) sites.push(await start(join(root, name), makeTrainer()));
  await until(() =>
    sites.forEach(({ context }) => expect(federationOf({ context }).store.run(run)?.saved).toBe(1)),
  );
  tap.frame = undefined;
  writeRecording({
    ...{ version: PROTOCOL_VERSIONS[0], run, planHash, plan: hub.context.runs.run(run)?.plan ?? '' },
    ...{ hub: keysOf(hub.context.identity), sites: keysOfSites, connections, frames },
  });
});

const recording = readRecording(1);
const roleOf = ({ connection }: RecordedFrame): SocketRole => recording.connections[connection].role;
const signatureOf = (frame: RecordedFrame, message: Message): Message => {
  if (message.type !== 'countersign') return message;
  const { site } = recording.connections[frame.connection];
  const { ed25519 } = identityOf(recording.sites[site]);
  return { ...message, signature: sign(ed25519, countersignStatement(message)) };
};

it('whose sites talk to today’s hub, gives the adapter that it gave then', async () => {
  hub = await openHub(recording);
  const { context, url, ask } = hub;
  const lines = new Map<number, Line>();
  const announced = new Map<string, { index: number; hash: string }>();

  async function lineOf(index: number): Promise<Line> {
    const known = lines.get(index);
    if (known !== undefined) return known;
    const { site, role, kind } = recording.connections[index];
    // The run stands in the hub's database before its sites come back to it.
    if (kind === 'member' && context.runs.runs().length === 0) await enterRun(context, recording);
    const { id, secret } = parseInvitation((await ask('invite', kind === 'join' ? { site } : {})).invitation);
    const line = await dialLine(url, role, {
      identity: identityOf(recording.sites[site]),
      hubX25519: context.identity.x25519.publicKey,
      ...(kind === 'join' && { join: { id, secret, site } }),
    });
    closing.push(() => line.close());
    lines.set(index, line);
    return line;
  }

  for (const frame of recording.frames) {
    const line = await lineOf(frame.connection);
    const { site } = recording.connections[frame.connection];
    const { bytes, message } = open(frame, roleOf(frame));
    if (frame.from === 'hub') {
      const said = await line.next(message);
      if (said.type === 'round-closed') announced.set(site, said.ledgerEntry);
    } else if (message.type === 'countersign') {
      // Entries of the ledger hold the time, so those of today are signed.
      line.send(encodeMessage(signatureOf(frame, { ...message, ...announced.get(site) })));
    } else {
      line.send(bytes);
    }
  }
  expect(context.runs.run(recording.run)).toMatchObject({ state: 'completed' });
});

it('whose hub talks to today’s site, brings it to the end that it had then', async () => {
  const [name] = Object.keys(recording.sites);
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => void server.close());
  const hubKeys = identityOf(recording.hub);
  const secret = new Uint8Array(32).fill(7);
  const entry = { site: name, joined: 1, revoked: null, ...publicKeys(recording.sites[name]) };
  /** Sockets of the site by the connection that each takes the place of, in the order of their kind. */
  const waiting = new Map<number, { resolve: (line: Line) => void; line: Promise<Line> }>();
  for (const [index, connection] of recording.connections.entries()) {
    if (connection.site !== name) continue;
    let resolve: (line: Line) => void = () => undefined;
    const line = new Promise<Line>((done) => (resolve = done));
    waiting.set(index, { resolve, line });
  }
  const taken = new Set<number>();
  sockets.on('connection', (socket, request) => {
    const role = request.url === '/bulk' ? 'bulk' : 'control';
    const free = [...waiting].find(
      ([index]) => recording.connections[index].role === role && !taken.has(index),
    );
    if (free === undefined) return socket.close();
    taken.add(free[0]);
    const gate = {
      keys: hubKeys.x25519,
      lookUpInvitation: () => secret,
      admit: () => entry,
      lookUpMember: () => entry,
    };
    void answerHandshake(socket, role, gate).then(({ transport }) =>
      free[1].resolve(makeLine(socket, transport, role, 'site')),
    );
  });

  const replay = async (): Promise<void> => {
    for (const frame of recording.frames) {
      const line = await waiting.get(frame.connection)?.line;
      if (line === undefined) continue;
      const { bytes, message } = open(frame, roleOf(frame));
      if (frame.from === 'hub') line.send(bytes);
      else await line.next(message);
      const last = recording.frames.findLast(({ connection }) => connection === frame.connection);
      if (last === frame && recording.connections[frame.connection].kind === 'join') line.close();
    }
  };
  const replayed = replay();
  plantKeys(join(root, name), identityOf(recording.sites[name]));
  const invitation = encodeInvitation({
    urls: [`ws://127.0.0.1:${(server.address() as AddressInfo).port}`],
    hubX25519: hubKeys.x25519.publicKey,
    hubEd25519: hubKeys.ed25519.publicKey,
    ...{ federation: 'clinics', id: new Uint8Array(16), secret, expires: 4_000_000_000, site: name },
  });
  const site = await start(await prepareSite(name, invitation), makeTrainer());
  sites.push(site);
  await replayed;
  await until(() =>
    expect(federationOf(site).store.run(recording.run)).toMatchObject({ state: 'completed', saved: 1 }),
  );
});

function publicKeys(keys: Recording['hub']) {
  const { ed25519, x25519 } = identityOf(keys);
  return { ed25519: ed25519.publicKey, x25519: x25519.publicKey };
}

it('is among the versions that this program speaks', () => {
  expect(PROTOCOL_VERSIONS).toContain(recording.version);
});
