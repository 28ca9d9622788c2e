/** @file The sealed connection against its published vectors and against an attacker in the middle. */

import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateKeys } from '../../core/federation/keys.ts';
import { startHandshake } from '../../core/federation/noise.ts';
import type { Handshake, HandshakeOptions, NoisePattern, Transport } from '../../core/federation/noise.ts';
import { checkNoise } from '../golden/checks/noise.ts';
import { codeOf } from '../helpers/errors.ts';

const site = generateKeys('x25519');
const hub = generateKeys('x25519');
const prologue = Buffer.from('tributary/1 control');
const psk = new Uint8Array(32).fill(5);
const patterns: readonly NoisePattern[] = ['IK', 'IKpsk2'];

interface Changes {
  site?: Partial<HandshakeOptions>;
  hub?: Partial<HandshakeOptions>;
}

function pair(pattern: NoisePattern, changes: Changes = {}): [Handshake, Handshake] {
  const shared = { pattern, prologue, psk };
  return [
    startHandshake({ ...shared, initiator: true, keys: site, remoteStatic: hub.publicKey, ...changes.site }),
    startHandshake({ ...shared, initiator: false, keys: hub, ...changes.hub }),
  ];
}

function run(
  [initiator, responder]: [Handshake, Handshake],
  messagesPerKey?: number,
): [Transport, Transport] {
  responder.read(initiator.write(Buffer.from('hello')));
  initiator.read(responder.write(Buffer.from('welcome')));
  return [initiator.split(messagesPerKey), responder.split(messagesPerKey)];
}

function flipped(message: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(message);
  copy[bit >> 3] ^= 1 << (bit & 7);
  return copy;
}

describe('published vectors', () => {
  const checks = checkNoise(fileURLToPath(new URL('../golden/noise/noise.json', import.meta.url)));
  it.each(checks)('$name', (check) => expect(check).toEqual({ name: check.name, status: 'passed' }));
  it('are both there', () => expect(checks).toHaveLength(2));
});

describe.each(patterns)('handshake %s', (pattern) => {
  it('agrees, carries payloads and shows the hub who calls', () => {
    const [initiator, responder] = pair(pattern);
    expect(Buffer.from(responder.read(initiator.write(Buffer.from('hello')))).toString()).toBe('hello');
    expect(responder.remoteStatic()).toEqual(Buffer.from(site.publicKey));
    expect(Buffer.from(initiator.read(responder.write())).length).toBe(0);
    const [a, b] = [initiator.split(), responder.split()];
    expect(a.handshakeHash).toEqual(b.handshakeHash);
    expect(Buffer.from(b.open(a.seal(Buffer.from('up')))).toString()).toBe('up');
    expect(Buffer.from(a.open(b.seal(Buffer.from('down')))).toString()).toBe('down');
  });

  it('fails at every flipped bit of its first message', () => {
    fc.assert(
      fc.property(fc.nat(), (at) => {
        const [initiator, responder] = pair(pattern);
        const message = initiator.write(Buffer.from('hello'));
        // The top bit of an X25519 point is ignored by RFC 7748, but the hash covers it all the same.
        const code = codeOf(() => responder.read(flipped(message, at % (message.length * 8))));
        expect(['noise.failed', 'noise.bad-key']).toContain(code);
      }),
    );
  });

  it('fails at every flipped bit of its second message', () => {
    fc.assert(
      fc.property(fc.nat(), (at) => {
        const [initiator, responder] = pair(pattern);
        responder.read(initiator.write());
        const message = responder.write();
        const code = codeOf(() => initiator.read(flipped(message, at % (message.length * 8))));
        expect(['noise.failed', 'noise.bad-key']).toContain(code);
      }),
    );
  });

  it('fails at every truncation', () => {
    const [initiator] = pair(pattern);
    const message = initiator.write();
    for (let length = 0; length < message.length; length++) {
      expect(codeOf(() => pair(pattern)[1].read(message.subarray(0, length)))).toBe('noise.failed');
    }
  });

  it('fails when the hub has another key than the one pinned', () => {
    const [initiator, responder] = pair(pattern, { hub: { keys: generateKeys('x25519') } });
    expect(codeOf(() => responder.read(initiator.write()))).toBe('noise.failed');
  });

  it('fails under another prologue, so a bulk handshake is no control handshake', () => {
    const [initiator, responder] = pair(pattern, { hub: { prologue: Buffer.from('tributary/1 bulk') } });
    expect(codeOf(() => responder.read(initiator.write()))).toBe('noise.failed');
  });

  it('is over after a failure, even for the right message', () => {
    const [initiator, responder] = pair(pattern);
    const message = initiator.write();
    expect(codeOf(() => responder.read(flipped(message, 300)))).toBe('noise.failed');
    expect(codeOf(() => responder.read(message))).toBe('noise.failed');
    expect(codeOf(() => responder.write())).toBe('noise.failed');
    expect(codeOf(() => responder.split())).toBe('noise.failed');
  });

  it('refuses to speak out of turn or to end early', () => {
    const [initiator, responder] = pair(pattern);
    expect(codeOf(() => responder.write())).toBe('noise.failed');
    expect(codeOf(() => initiator.read(new Uint8Array(96)))).toBe('noise.failed');
    expect(codeOf(() => pair(pattern)[0].split())).toBe('noise.failed');
  });

  // Points of small order on Curve25519 and its twist (RFC 7748, section 6.1; cr.yp.to/ecdh.html).
  it.each([
    '00'.repeat(32),
    '01' + '00'.repeat(31),
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('refuses the low-order point %s', (point) => {
    const raw = new Uint8Array(Buffer.from(point, 'hex'));
    const [initiator, responder] = pair(pattern);
    const message = new Uint8Array(initiator.write());
    message.set(raw);
    expect(codeOf(() => responder.read(message))).toBe('noise.bad-key');
    expect(codeOf(() => pair(pattern, { site: { remoteStatic: raw } })[0].write())).toBe('noise.bad-key');
  });

  it('replayed to the hub gives no session to who replays it', () => {
    const [initiator, responder] = pair(pattern);
    const recorded = initiator.write(Buffer.from('hello'));
    responder.read(recorded);
    const [, again] = pair(pattern);
    again.read(recorded); // the first message alone proves nothing …
    initiator.read(responder.write());
    const sealed = initiator.split().seal(Buffer.from('frame'));
    again.write();
    const session = again.split();
    expect(codeOf(() => session.open(sealed))).toBe('noise.failed'); // … the first frame does
  });
});

describe('pre-shared key', () => {
  it('that is wrong stops the site at the second message', () => {
    const [initiator, responder] = pair('IKpsk2', { hub: { psk: new Uint8Array(32).fill(6) } });
    responder.read(initiator.write());
    expect(codeOf(() => initiator.read(responder.write()))).toBe('noise.failed');
  });

  it('can be given once the hub knows who calls, and must be', () => {
    const [initiator, responder] = pair('IKpsk2', { hub: { psk: undefined } });
    responder.read(initiator.write());
    responder.usePsk(psk);
    initiator.read(responder.write());
    const [other, without] = pair('IKpsk2', { hub: { psk: undefined } });
    without.read(other.write());
    expect(codeOf(() => without.write())).toBe('noise.failed');
  });
});

describe('transport', () => {
  it('refuses replayed, reordered, dropped, reflected, cut and altered messages', () => {
    const attacks: Record<string, (a: Transport, b: Transport) => Uint8Array> = {
      replayed: (a, b) => {
        const message = a.seal(Buffer.from('one'));
        b.open(message);
        return message;
      },
      'reordered or dropped': (a) => {
        a.seal(Buffer.from('one'));
        return a.seal(Buffer.from('two'));
      },
      reflected: (_a, b) => b.seal(Buffer.from('one')),
      cut: (a) => a.seal(Buffer.from('one')).subarray(0, 18),
      empty: () => new Uint8Array(0),
      altered: (a) => flipped(a.seal(Buffer.from('one')), 9),
    };
    for (const [name, attack] of Object.entries(attacks)) {
      const [a, b] = run(pair('IK'));
      expect([name, codeOf(() => b.open(attack(a, b)))]).toEqual([name, 'noise.failed']);
      expect([name, codeOf(() => b.open(a.seal(Buffer.from('later'))))]).toEqual([name, 'noise.failed']);
    }
  });

  it('ends when a key has sealed its share, and not before', () => {
    const [a, b] = run(pair('IK'), 3);
    for (let count = 0; count < 3; count++) b.open(a.seal(Buffer.from([count])));
    expect(codeOf(() => a.seal(Buffer.from('one too many')))).toBe('noise.exhausted');
    expect(codeOf(() => b.open(new Uint8Array(20)))).toBe('noise.exhausted');
  });

  it('carries the longest message and refuses a longer one', () => {
    const [a, b] = run(pair('IK'));
    expect(b.open(a.seal(new Uint8Array(65_519))).length).toBe(65_519);
    expect(codeOf(() => a.seal(new Uint8Array(65_520)))).toBe('noise.failed');
  });
});
