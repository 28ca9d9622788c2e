/** @file The sealed sockets of hub and site, honest and attacked. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TributaryError } from '../../core/errors.ts';
import type { Channel } from '../../core/federation/channel.ts';
import { makeChannel } from '../../core/federation/channel.ts';
import { offerHandshake } from '../../core/federation/handshake.ts';
import { generateIdentity } from '../../core/federation/identity.ts';
import type { Message, SocketRole } from '../../core/federation/messages.ts';
import { connectToHub } from '../../core/site/connect.ts';
import type { Connected } from '../../core/site/connect.ts';
import { openTestHub } from '../helpers/hub.ts';
import type { TestHub } from '../helpers/hub.ts';
import { until } from '../helpers/until.ts';

const site = generateIdentity();
let hub: TestHub;
const sockets: WebSocket[] = [];

beforeEach(async () => {
  hub = await openTestHub();
  hub.enrol('clinic-a', site);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await hub.listener.close();
});

function options(role: SocketRole = 'control') {
  return {
    urls: [hub.listener.url],
    role,
    software: 'test',
    identity: site,
    hubX25519: hub.identity.x25519.publicKey,
  };
}

const member = (role?: SocketRole): Promise<Connected> => connectToHub(options(role));

/** The hub's end of the newest connection. */
async function arrived(list: 'control' | 'bulk' = 'control', count = 1): Promise<Channel> {
  await until(() => expect(hub[list].length).toBeGreaterThanOrEqual(count));
  return hub[list][count - 1].channel;
}

/** A WebSocket without any handshake of ours. */
async function raw(path: string): Promise<WebSocket> {
  const socket = new WebSocket(`${hub.listener.url}${path}`, { perMessageDeflate: false });
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'open');
  return socket;
}

async function closeOf(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
}

const refusal = (code: string) => expect.objectContaining({ code }) as TributaryError;

describe('a site', () => {
  it('joins with an invitation, once, and returns as a member', async () => {
    const identity = generateIdentity();
    const { id, secret } = hub.invite();
    const join = { id, secret, site: 'clinic-b' };
    const { channel, welcome } = await connectToHub({ ...options(), identity, join });
    expect(welcome).toMatchObject({ version: 1, federation: 'clinics', site: 'clinic-b' });
    expect(welcome.roster.entries.map((entry) => entry.site)).toEqual(['clinic-a', 'clinic-b']);
    channel.close();
    await expect(connectToHub({ ...options(), identity, join })).rejects.toThrow(refusal('invitation.used'));
    const again = await connectToHub({ ...options('bulk'), identity });
    expect(again.welcome.site).toBe('clinic-b');
    again.channel.close();
  });

  it('is not admitted with a wrong secret, and the invitation stays open', async () => {
    const identity = generateIdentity();
    const { id, secret } = hub.invite();
    const wrong = { id, secret: new Uint8Array(32), site: 'clinic-b' };
    await expect(connectToHub({ ...options(), identity, join: wrong })).rejects.toThrow(
      refusal('hub.wrong-key'),
    );
    expect(hub.members).toHaveLength(1);
    const right = await connectToHub({ ...options(), identity, join: { id, secret, site: 'clinic-b' } });
    right.channel.close();
  });

  it('is refused when unknown or revoked', async () => {
    const stranger = { ...options(), identity: generateIdentity() };
    await expect(connectToHub(stranger)).rejects.toThrow(refusal('site.unknown'));
    hub.members[0] = { ...hub.members[0], revoked: 5 };
    await expect(member()).rejects.toThrow(refusal('site.revoked'));
  });

  it('refuses a hub that does not hold the pinned key', async () => {
    const pinned = { ...options(), hubX25519: generateIdentity().x25519.publicKey };
    await expect(connectToHub(pinned)).rejects.toThrow(refusal('hub.wrong-key'));
  });

  it('says which address does not answer, and tries the next', async () => {
    const dead = 'ws://127.0.0.1:9';
    await expect(connectToHub({ ...options(), urls: [dead] })).rejects.toThrow(refusal('hub.unreachable'));
    await expect(connectToHub({ ...options(), urls: [dead] })).rejects.toThrow(dead);
    const { channel, url } = await connectToHub({ ...options(), urls: [dead, hub.listener.url] });
    expect(url).toBe(hub.listener.url);
    channel.close();
  });

  it('that speaks no common version is told so', async () => {
    const socket = await raw('/control');
    const transport = await offerHandshake(socket, 'control', options());
    const channel = makeChannel({ socket, transport, role: 'control', remote: 'hub' });
    channel.send({ type: 'hello', versions: [7, 8], software: 'future', role: 'control' });
    expect(await channel.closed).toMatchObject({
      code: 'wire.version',
      message: 'The hub speaks version 1 of the protocol, the site 7, 8 (future).',
    });
  });

  it('that knows later versions too is answered in the one that both speak', async () => {
    const socket = await raw('/control');
    const transport = await offerHandshake(socket, 'control', options());
    const channel = makeChannel({ socket, transport, role: 'control', remote: 'hub' });
    channel.send({ type: 'hello', versions: [2, 1], software: 'future', role: 'control' });
    expect(await channel.receive()).toMatchObject({ type: 'welcome', version: 1 });
    channel.close();
  });
});

describe('a channel', () => {
  it('carries messages in order and counts its bytes', async () => {
    const { channel } = await member();
    const atHub = await arrived();
    const got: Message[] = [];
    atHub.listen((message) => void got.push(message));
    const reason = 'not within the policy of this site';
    for (let round = 0; round < 50; round++) {
      channel.send({ type: 'decline', run: `r${round}`, planHash: 'ab'.repeat(32), code: 'no', reason });
    }
    await until(() => expect(got).toHaveLength(50));
    expect(got.map((message) => 'run' in message && message.run)).toEqual(got.map((_, index) => `r${index}`));
    expect(channel.bytes.sent).toBe(atHub.bytes.received);
    expect(channel.bytes.sent).toBeGreaterThan(50 * reason.length);
  });

  it('has the hub told of all bytes that go through its buffers', async () => {
    let bytes = 0;
    const told = await openTestHub({ onBuffers: (count) => (bytes += count) });
    try {
      told.enrol('clinic-a', site);
      const { channel } = await connectToHub({
        ...options(),
        urls: [told.listener.url],
        hubX25519: told.identity.x25519.publicKey,
      });
      await until(() => expect(told.control).toHaveLength(1));
      const atHub = told.control[0].channel;
      channel.send({ type: 'heartbeat', count: 1 });
      await until(() => expect(atHub.bytes.received).toBe(channel.bytes.sent));
      expect(bytes).toBe(atHub.bytes.received + atHub.bytes.sent);
      channel.close();
    } finally {
      await told.listener.close();
    }
  });

  it('carries a chunk of 1 MiB in one message of several sealed pieces', async () => {
    const { channel } = await member('bulk');
    const atHub = await arrived('bulk');
    const bytes = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
    channel.send({ type: 'blob-chunk', hash: 'ab'.repeat(32), index: 0, bytes });
    const message = await atHub.receive();
    expect(message.type === 'blob-chunk' && Buffer.compare(message.bytes, bytes)).toBe(0);
  });

  it('passes a refusal on with its code', async () => {
    const { channel } = await member();
    (await arrived()).close(new TributaryError('site.revoked', 'Revoked just now.'));
    expect(await channel.closed).toMatchObject({ code: 'site.revoked', message: 'Revoked just now.' });
    await expect(channel.receive()).rejects.toMatchObject({ code: 'site.revoked' });
    await expect(channel.drain()).rejects.toMatchObject({ code: 'site.revoked' });
  });

  it('closes when the site sends what only a hub may send', async () => {
    const { channel } = await member();
    const atHub = await arrived();
    channel.send({
      type: 'round-start',
      run: 'r',
      round: 0,
      rounds: 1,
      learningRate: 1,
      base: { hash: 'ab'.repeat(32), size: 1 },
      secondsLeft: 1,
    });
    expect(await atHub.closed).toMatchObject({ code: 'wire.not-allowed' });
    expect(await channel.closed).toMatchObject({ code: 'wire.not-allowed' });
  });

  it('closes when the handler of a message fails', async () => {
    const { channel } = await member();
    (await arrived()).listen(() => {
      throw new TributaryError('wire.bad-message', 'An approval of a run that is not there.');
    });
    channel.send({ type: 'decline', run: 'r', planHash: 'ab'.repeat(32), code: 'no', reason: '' });
    expect(await channel.closed).toMatchObject({ message: 'An approval of a run that is not there.' });
  });

  it('stops reading while its handler is behind, and loses nothing', async () => {
    const { channel } = await member();
    const atHub = await arrived();
    let free = (): void => undefined;
    const gate = new Promise<void>((resolve) => (free = resolve));
    let count = 0;
    atHub.listen(async () => {
      await gate;
      count += 1;
    });
    for (let index = 0; index < 200; index++)
      channel.send({
        type: 'decline',
        run: `r${index}`,
        planHash: 'ab'.repeat(32),
        code: 'no',
        reason: 'x'.repeat(2000),
      });
    await until(() => expect(atHub.bytes.received).toBeGreaterThan(60_000));
    expect(atHub.bytes.received).toBeLessThan(channel.bytes.sent);
    free();
    await until(() => expect(count).toBe(200));
  });

  it('replaces the older connection of the same site and kind', async () => {
    const first = await member();
    const second = await member();
    const bulk = await member('bulk');
    expect(await first.channel.closed).toMatchObject({ code: 'site.replaced' });
    (await arrived('control', 2)).send({
      type: 'run-ended',
      run: 'r',
      state: 'failed',
      reason: '',
      adapter: null,
    });
    expect((await second.channel.receive()).type).toBe('run-ended');
    bulk.channel.close();
  });
});

describe('heartbeats', () => {
  it('keep a quiet connection and find a dead one', async () => {
    const fast = await openTestHub({ heartbeatSeconds: 0.05 });
    fast.enrol('clinic-a', site);
    try {
      const to = { ...options(), urls: [fast.listener.url], hubX25519: fast.identity.x25519.publicKey };
      const alive = await connectToHub(to);
      const before = alive.channel.bytes.received;
      await until(() => expect(alive.channel.bytes.received).toBeGreaterThan(before + 4 * 30));
      alive.channel.close();

      const socket = new WebSocket(`${fast.listener.url}/bulk`);
      sockets.push(socket);
      await once(socket, 'open');
      const transport = await offerHandshake(socket, 'bulk', to);
      const mute = makeChannel({ socket, transport, role: 'bulk', remote: 'hub' });
      mute.send({ type: 'hello', versions: [1], software: 'mute', role: 'bulk' });
      await until(() => expect(fast.bulk).toHaveLength(1));
      expect(await fast.bulk[0].channel.closed).toMatchObject({ code: 'wire.dead-peer' });
    } finally {
      await fast.listener.close();
    }
  });
});

describe('an attacker', () => {
  it.each([
    ['garbage', Buffer.from([9, 1, 2, 3])],
    ['a handshake of zeros', Buffer.concat([Buffer.of(2), Buffer.alloc(96)])],
    ['a join without content', Buffer.concat([Buffer.of(1), Buffer.alloc(200, 7)])],
    ['one byte', Buffer.of(1)],
    ['a message over 4 KiB', Buffer.alloc(5000, 2)],
  ])('that begins with %s is dropped with a code', async (_name, bytes) => {
    const socket = await raw('/control');
    socket.send(bytes);
    const { code, reason } = await closeOf(socket);
    expect(code).toBe(4400);
    expect(reason).toMatch(/^noise\./);
    expect(hub.control).toHaveLength(0);
  });

  it('cannot join over the bulk socket', async () => {
    const { id, secret } = hub.invite();
    const join = { id, secret, site: 'clinic-b' };
    await expect(connectToHub({ ...options('bulk'), join })).rejects.toThrow(refusal('hub.wrong-key'));
  });

  it('that replays a recorded session gets no further than the handshake', async () => {
    const recorded: Buffer[] = [];
    const socket = await raw('/control');
    const send = socket.send.bind(socket);
    socket.send = ((data: Buffer, ...rest: []) => {
      recorded.push(Buffer.from(data));
      send(data, ...rest);
    }) as typeof socket.send;
    const transport = await offerHandshake(socket, 'control', options());
    makeChannel({ socket, transport, role: 'control', remote: 'hub' }).send({
      type: 'hello',
      versions: [1],
      software: 'test',
      role: 'control',
    });
    await arrived();
    const replay = await raw('/control');
    replay.send(recorded[0]);
    await once(replay, 'message'); // the hub answers with keys that the recorded frame does not fit
    replay.send(recorded[1]);
    await closeOf(replay);
    expect(hub.refused).toEqual(['noise.failed']);
    expect(hub.control).toHaveLength(1);
  });

  it.each(['replayed', 'altered', 'cut short', 'reordered', 'text'])(
    'in the middle cannot pass on frames %s',
    async (how) => {
      const socket = await raw('/control');
      const transport = await offerHandshake(socket, 'control', options());
      const channel = makeChannel({ socket, transport, role: 'control', remote: 'hub' });
      channel.send({ type: 'hello', versions: [1], software: 'test', role: 'control' });
      const atHub = await arrived();
      const send = socket.send.bind(socket);
      const held: Buffer[] = [];
      socket.send = ((data: Buffer) => void held.push(data)) as typeof socket.send;
      for (const run of ['a', 'b'])
        channel.send({ type: 'decline', run, planHash: 'ab'.repeat(32), code: 'no', reason: '' });
      const [first, second] = held;
      if (how === 'replayed') for (const data of [first, first]) send(data);
      if (how === 'altered') send(Buffer.from(first.map((byte, at) => (at === 20 ? byte ^ 1 : byte))));
      if (how === 'cut short') send(first.subarray(0, -1));
      if (how === 'reordered') for (const data of [second, first]) send(data);
      if (how === 'text') send('hello');
      expect((await atHub.closed).code).toMatch(
        how === 'text' || how === 'cut short' ? /^wire\.bad-message$/ : /^noise\.failed$/,
      );
    },
  );

  it('that floods before it has proven anything is cut off after a few kilobytes', async () => {
    const { port } = hub.listener;
    const flood = connect(port, '127.0.0.1');
    flood.on('error', () => undefined);
    const ended = new Promise((resolve) => flood.on('close', resolve));
    flood.write(
      'GET /control HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    await once(flood, 'data');
    // One WebSocket message that announces 1 MiB and never stops.
    flood.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]));
    const pour = (): void => {
      while (!flood.destroyed && flood.write(Buffer.alloc(4096)));
    };
    flood.on('drain', pour);
    pour();
    await ended;
    await until(() => expect(hub.listener.unauthenticated()).toBe(0));
  });

  it('that opens many sockets cannot hold more than the limit, nor keep a member out', async () => {
    const small = await openTestHub({ limits: { unauthenticated: 4 } });
    small.enrol('clinic-a', site);
    try {
      const crowd = Array.from({ length: 12 }, () => connect(small.listener.port, '127.0.0.1'));
      for (const socket of crowd) socket.on('error', () => undefined);
      await Promise.all(crowd.slice(-1).map((socket) => once(socket, 'connect')));
      await until(() => expect(small.listener.unauthenticated()).toBe(4));
      const to = { ...options(), urls: [small.listener.url], hubX25519: small.identity.x25519.publicKey };
      const { channel } = await connectToHub(to);
      expect(small.listener.unauthenticated()).toBeLessThanOrEqual(4);
      channel.close();
      for (const socket of crowd) socket.destroy();
    } finally {
      await small.listener.close();
    }
  });

  it('that stays silent is dropped in time', async () => {
    const hasty = await openTestHub({ limits: { handshakeSeconds: 0.05 } });
    try {
      const socket = new WebSocket(`${hasty.listener.url}/control`);
      socket.on('error', () => undefined);
      await closeOf(socket);
      await until(() => expect(hasty.listener.unauthenticated()).toBe(0));
    } finally {
      await hasty.listener.close();
    }
  });

  it('that asks for another page is told where it is, or nothing', async () => {
    const url = hub.listener.url.replace('ws:', 'http:');
    expect((await fetch(url)).status).toBe(426);
    const socket = new WebSocket(`${hub.listener.url}/other`);
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });
});
