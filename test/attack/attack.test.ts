/**
 * @file Strangers and members that attack a running hub with raw bytes. Each time the hub says what it refused, keeps
 * its memory, and the honest sites complete their run. Attacks on the channel itself: test/federation/channel.test.ts;
 * on updates: test/hub/updates.test.ts.
 */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { MAX_SEALED_BYTES } from '../../core/federation/framing.ts';
import { offerHandshake } from '../../core/federation/handshake.ts';
import { generateIdentity, sign } from '../../core/federation/identity.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { makeChannel } from '../../core/federation/channel.ts';
import type { Message } from '../../core/federation/messages.ts';
import { updateStatement } from '../../core/federation/statements.ts';
import { createHandshakeLimit } from '../../core/hub/refusals.ts';
import { connectToHub } from '../../core/site/connect.ts';
import { cleanUp, createFederation, joinSite, smallPlan } from '../helpers/federation.ts';
import type { FakeSite, TestFederation } from '../helpers/federation.ts';
import { openProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/until.ts';

interface LogLine {
  readonly code?: string;
  readonly msg: string;
}

let federation: TestFederation;
let log: LogLine[];
let honest: FakeSite[];
/** The third site of the run is the attacker, of whom nothing is waited for but what it sends. */
let attacker: FakeSite;
const open: { destroy(): void }[] = [];

beforeEach(async () => {
  log = [];
  const stream = { write: (line: string) => void log.push(JSON.parse(line) as LogLine) };
  federation = await createFederation({ log: pino({ level: 'warn' }, stream) });
  honest = [await joinSite(federation, 'north'), await joinSite(federation, 'south')];
  attacker = await joinSite(federation, 'west', { on: ({ type }) => type === 'proposal' });
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await cleanUp();
});

const port = (): number => Number(new URL(federation.hub.url).port);
const refused = (code: string): boolean => log.some((line) => line.code === code);

/** The hub still works: everyone is there, and a run of the honest two completes. */
async function stillWorks(): Promise<void> {
  await federation.hub.ask('revoke', { site: 'west' });
  await federation.propose({ ...smallPlan({ rounds: 1 }), name: 'after' });
  await federation.event('ended', ({ run, state }) => run.startsWith('after') && state === 'completed');
  expect(honest.map(({ name }) => name)).toEqual(['north', 'south']);
}

function stranger(): Socket {
  const socket = connect(port(), '127.0.0.1');
  socket.on('error', () => undefined);
  open.push(socket);
  return socket;
}

const UPGRADE =
  'GET /control HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

it(
  'ten thousand half-open connections are dropped, oldest first, in bounded memory, while sites come in',
  { timeout: 240_000 },
  async () => {
    const before = process.memoryUsage.rss();
    let connected = 0;
    for (let batch = 0; batch < 40; batch++) {
      const sockets = Array.from({ length: 250 }, () => stranger());
      await Promise.all(
        sockets.map(async (socket, index) => {
          await once(socket, 'connect').catch(() => undefined);
          connected += 1;
          if (index % 2 === 0) socket.write(UPGRADE.slice(0, 40 + (index % 60))); // and then nothing more
        }),
      );
      for (const socket of open.splice(0, Math.max(0, open.length - 500))) socket.destroy();
    }
    expect(connected).toBe(10_000);
    expect(await (await fetch(federation.hub.url.replace('ws:', 'http:') + '/healthz')).text()).toBe('ok\n');
    expect(refused('hub.busy')).toBe(true);
    expect(log.length).toBeLessThan(100); // its log does not grow with the flood
    await joinSite(federation, 'late');
    expect(process.memoryUsage.rss() - before).toBeLessThan(150e6);
    for (const socket of open.splice(0)) socket.destroy();
    await stillWorks();
  },
);

it('a flood from strangers is cut off after a few kilobytes each', async () => {
  for (let count = 0; count < 50; count++) {
    const socket = stranger();
    socket.write(UPGRADE);
    const pour = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 7)));
    };
    socket.on('drain', pour);
    pour();
    await new Promise((resolve) => socket.once('close', resolve));
  }
  expect(refused('wire.bad-message')).toBe(true);
  await stillWorks();
});

it('an oversized frame of a member ends its connection', async () => {
  const { hubX25519 } = parseInvitation(await federation.invite('x'));
  const socket = new WebSocket(`${federation.hub.url}/control`, { perMessageDeflate: false });
  open.push({ destroy: () => socket.terminate() });
  await once(socket, 'open');
  const transport = await offerHandshake(socket, 'control', { identity: attacker.identity, hubX25519 });
  const channel = makeChannel({ socket, transport, role: 'control', remote: 'hub' });
  channel.send({ type: 'hello', versions: [1], software: 'attack', role: 'control' });
  await channel.receive();
  socket.send(Buffer.alloc(MAX_SEALED_BYTES + 1, 1));
  const reason = await channel.closed;
  expect(reason.code).toMatch(/^wire\./);
  await stillWorks();
});

it('a recorded session, played again byte for byte, gets nowhere', async () => {
  attacker.drop(); // or it would come back by itself
  const proxy = await openProxy(port);
  open.push({ destroy: () => void proxy.close() });
  const { hubX25519 } = parseInvitation(await federation.invite('x'));
  const identity = attacker.identity;
  const urls = [`ws://127.0.0.1:${proxy.port}`];
  const { channel } = await connectToHub({ urls, role: 'control', software: 'test', identity, hubX25519 });
  channel.close();
  await channel.closed;
  await until(() => expect(proxy.recorded.length).toBeGreaterThan(2));
  const arrivals = federation.events.length;
  const replay = stranger();
  for (const [index, part] of proxy.recorded.entries()) {
    replay.write(part);
    if (index < 2) await once(replay, 'data'); // the upgrade and the handshake are answered, with other keys
  }
  await until(() => expect(refused('noise.failed')).toBe(true));
  expect(federation.events.slice(arrivals).filter(({ type }) => type === 'connected')).toEqual([]);
  await stillWorks();
});

it('a wrong key, a used invitation and a version of the future are refused by name', async () => {
  const invitation = parseInvitation(await federation.invite('east'));
  const { urls, hubX25519, id, secret } = invitation;
  const to = { urls, software: 'test', role: 'control' as const };
  const wrongHub = generateIdentity().x25519.publicKey;
  await expect(
    connectToHub({ ...to, identity: attacker.identity, hubX25519: wrongHub }),
  ).rejects.toMatchObject({ code: 'hub.wrong-key' });
  await expect(connectToHub({ ...to, identity: generateIdentity(), hubX25519 })).rejects.toMatchObject({
    code: 'site.unknown',
  });
  const join = { id, secret, site: 'east' };
  const first = await connectToHub({ ...to, identity: generateIdentity(), hubX25519, join });
  first.channel.close();
  await expect(connectToHub({ ...to, identity: generateIdentity(), hubX25519, join })).rejects.toMatchObject({
    code: 'invitation.used',
  });
  const socket = new WebSocket(`${federation.hub.url}/control`, { perMessageDeflate: false });
  open.push({ destroy: () => socket.terminate() });
  await once(socket, 'open');
  const transport = await offerHandshake(socket, 'control', { identity: attacker.identity, hubX25519 });
  const channel = makeChannel({ socket, transport, role: 'control', remote: 'hub' });
  channel.send({ type: 'hello', versions: [65_000], software: 'of the future', role: 'control' });
  expect((await channel.closed).code).toBe('wire.version');
  for (const code of ['noise.failed', 'site.unknown', 'invitation.used', 'wire.version']) {
    expect([code, refused(code)]).toEqual([code, true]);
  }
  await stillWorks();
});

it('a blob whose bytes are not those of its hash, and one that is no tensor file, do not count', async () => {
  await federation.propose(smallPlan({ rounds: 1, minSites: 3 }));
  const start = await attacker.heardOf('round-start');
  // A header that claims to be longer than the file, and one with a shape of 2^60 values.
  const claims = [
    Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]), Buffer.alloc(100)]),
    tensorFile({ x: { dtype: 'F32', shape: [2 ** 30, 2 ** 30], data_offsets: [0, 4] } }, Buffer.alloc(4)),
    tensorFile({ x: { dtype: 'F64', shape: [1], data_offsets: [0, 8] } }, Buffer.alloc(8)),
  ];
  for (const claim of claims) {
    const blob = await attacker.blobs.put(claim);
    await attacker.bulk().offer(blob);
    const { run, round } = start;
    const statement = updateStatement({ run, round, hash: blob.hash, examples: 10 });
    const signature = sign(attacker.identity.ed25519, statement);
    attacker
      .control()
      .send({ type: 'update', run, round, blob, examples: 10, loss: 1, metrics: {}, signature });
    const { code } = await attacker.heardOf('update-refused', (refusal) => refusal.hash === blob.hash);
    expect(code).toMatch(/^update\.(damaged|tensor-mismatch)$/);
  }

  const { hubX25519 } = parseInvitation(await federation.invite('x'));
  const { channel } = await connectToHub({
    urls: [federation.hub.url],
    role: 'bulk',
    software: 'test',
    identity: attacker.identity,
    hubX25519,
  });
  const next = async <T extends Message['type']>(type: T): Promise<Extract<Message, { type: T }>> => {
    for (;;) {
      const message = await channel.receive();
      if (message.type === type) return message as Extract<Message, { type: T }>;
    }
  };
  const bytes = Buffer.alloc(1000, 3);
  const hash = 'ab'.repeat(32);
  channel.send({ type: 'blob-offer', hash, size: bytes.length });
  await next('blob-want');
  const chunkHashes = [createHash('sha256').update(bytes).digest()];
  channel.send({ type: 'blob-info', hash, size: bytes.length, chunkSize: bytes.length, chunkHashes });
  channel.send({ type: 'blob-chunk', hash, index: 0, bytes });
  expect(await next('blob-fail')).toMatchObject({ hash, code: 'transfer.corrupt' });
  channel.close();
  await channel.closed;
  await stillWorks();
});

it('an address may begin only so many handshakes, others are not held back by it', () => {
  let now = 0;
  const mayShake = createHandshakeLimit(() => now);
  const tries = (address: string): number =>
    Array.from({ length: 1000 }, () => mayShake(address)).filter(Boolean).length;
  expect(tries('one')).toBe(512);
  expect(tries('two')).toBe(512);
  now = 1;
  expect(tries('one')).toBe(32);
});

function tensorFile(header: object, data: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}
