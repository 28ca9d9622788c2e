/** @file What the wire accepts: every message both ways, and nothing else. */

import { randomBytes } from 'node:crypto';
import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeInParts, encodeMessage, MESSAGES } from '../../core/federation/messages.ts';
import type { Message, MessageType, Party, SocketRole } from '../../core/federation/messages.ts';
import { codeOf } from '../helpers/errors.ts';

const hash = 'ab'.repeat(32);
const blob = { hash, size: 12 };
const signature = new Uint8Array(64).fill(7);
const key = new Uint8Array(32).fill(9);

const samples: { [T in MessageType]: Extract<Message, { type: T }> } = {
  hello: { type: 'hello', versions: [1], software: 'tributary 0.1.0', role: 'control' },
  welcome: {
    type: 'welcome',
    version: 1,
    federation: 'clinics',
    site: 'Klinik Süd',
    roster: {
      federation: 'clinics',
      version: 3,
      entries: [{ site: 'Klinik Süd', x25519: key, ed25519: key, joined: 1_790_000_000, revoked: null }],
      signature,
    },
    heartbeatSeconds: 20,
  },
  refuse: { type: 'refuse', code: 'site.revoked', message: 'The site was revoked.', hint: 'Ask.' },
  heartbeat: { type: 'heartbeat', count: 4 },
  proposal: { type: 'proposal', run: 'r1', plan: '{}', planHash: hash },
  approval: { type: 'approval', run: 'r1', planHash: hash, examples: 60, signature },
  decline: { type: 'decline', run: 'r1', planHash: hash, code: 'policy.rounds', reason: 'Too many.' },
  'round-start': {
    type: 'round-start',
    run: 'r1',
    round: 0,
    rounds: 10,
    learningRate: 5e-4,
    base: blob,
    secondsLeft: 600,
  },
  progress: { type: 'progress', run: 'r1', round: 0, phase: 'training', step: 1, steps: 10, loss: null },
  update: {
    type: 'update',
    run: 'r1',
    round: 0,
    blob,
    examples: 60,
    loss: 2.5,
    metrics: { supervisedTokens: 512 },
    signature,
  },
  'update-accepted': { type: 'update-accepted', run: 'r1', round: 0, hash, state: 'committed' },
  'update-refused': { type: 'update-refused', run: 'r1', round: 0, hash, code: 'update.bad', reason: 'NaN' },
  'round-closed': {
    type: 'round-closed',
    run: 'r1',
    round: 0,
    aggregate: blob,
    cohort: ['a', 'b'],
    loss: 2.4,
    ledgerEntry: { index: 5, hash },
  },
  countersign: { type: 'countersign', index: 5, hash, signature },
  'rotate-keys': { type: 'rotate-keys', ed25519: key, x25519: key, signature, proof: signature },
  'hub-keys': { type: 'hub-keys', ed25519: key, x25519: key, signature, proof: signature },
  'keys-rotated': {
    type: 'keys-rotated',
    roster: { federation: 'clinics', version: 4, entries: [], signature },
  },
  'run-ended': { type: 'run-ended', run: 'r1', state: 'completed', reason: '', adapter: null },
  'run-notice': { type: 'run-notice', run: 'r1', round: 2, kind: 'paused', reason: 'Holidays.' },
  amendment: { type: 'amendment', run: 'r1', plan: '{}', planHash: hash, amends: hash },
  evaluate: { type: 'evaluate', run: 'r1', round: 2, adapter: blob },
  rehearse: { type: 'rehearse', rehearsal: 'clinics-rehearsal-4', plan: '{}', planHash: hash },
  rehearsed: {
    type: 'rehearsed',
    rehearsal: 'clinics-rehearsal-4',
    planHash: hash,
    state: 'measured',
    reason: '',
    parts: [],
    measured: {
      examples: 40,
      steps: 10,
      secondsPerStep: 1.5,
      tokensPerSecond: 210.5,
      memory: 800_000_000,
      memoryLimit: 8_000_000_000,
      precision: 'int8',
      device: 'cpu',
    },
  },
  score: { type: 'score', run: 'r1', round: 2, examples: 40, metrics: { heldOutLoss: 2.25 }, reason: '' },
  trouble: { type: 'trouble', run: 'r1', round: 2, code: 'engine.crashed', reason: 'It ended.' },
  'blob-want': {
    type: 'blob-want',
    hash,
    have: [
      [0, 3],
      [5, 5],
    ],
  },
  'blob-info': { type: 'blob-info', hash, size: 12, chunkSize: 6, chunkHashes: [key, key] },
  'blob-chunk': { type: 'blob-chunk', hash, index: 1, bytes: new Uint8Array([1, 2, 3]) },
  'blob-ack': { type: 'blob-ack', hash, index: 1 },
  'blob-offer': { type: 'blob-offer', ...blob },
  'blob-done': { type: 'blob-done', hash },
  'blob-fail': { type: 'blob-fail', hash, code: 'transfer.refused', message: 'Not published.' },
};
const all = Object.values(samples);
const parties: readonly Party[] = ['site', 'hub'];
const roles: readonly SocketRole[] = ['control', 'bulk'];

function frame(type: MessageType, body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([MESSAGES[type].code >> 8, MESSAGES[type].code & 255]), body]);
}

describe('messages', () => {
  it('come back as they were sent, from whoever may send them', () => {
    for (const message of all) {
      const row = MESSAGES[message.type];
      const from = row.from === 'both' ? 'site' : row.from;
      const on = row.on === 'both' ? 'bulk' : row.on;
      expect(decodeMessage(encodeMessage(message), from, on)).toEqual({ message });
    }
  });

  it('that are chunks are written in parts and read without a copy, the same bytes whatever their sizes', () => {
    const whole = new Uint8Array(randomBytes(126 * 1024));
    const sizes = [1, 23, 24, 255, 256, 65_535, 65_536, whole.length];
    for (const size of sizes) {
      for (const index of [0, 23, 24, 255, 256, 65_535, 65_536, 0xffff_ffff]) {
        const message = { ...samples['blob-chunk'], index, bytes: whole.subarray(0, size) };
        const plaintext = encodeMessage(message);
        const parts = encodeInParts(message);
        expect(Buffer.concat(parts).equals(plaintext)).toBe(true);
        expect(parts.includes(message.bytes)).toBe(true);
        const decoded = decodeMessage(plaintext, 'site', 'bulk');
        if (!('message' in decoded) || decoded.message.type !== 'blob-chunk') throw new Error('no chunk');
        const { bytes, ...rest } = decoded.message;
        expect(rest).toEqual({ type: message.type, hash: message.hash, index });
        expect(Buffer.compare(bytes, message.bytes)).toBe(0);
        expect(bytes.buffer).toBe(plaintext.buffer);
      }
    }
  });

  it('that are chunks are refused where one byte around theirs is another', () => {
    const chunk = { ...samples['blob-chunk'], index: 300, bytes: randomBytes(300) };
    const plaintext = Buffer.from(encodeMessage(chunk));
    const ends = [plaintext.indexOf(chunk.bytes), plaintext.length - 9];
    for (let at = 2; at < plaintext.length - 2; at++) {
      if (at >= ends[0] && at < ends[1]) continue;
      const altered = Buffer.from(plaintext);
      altered[at] ^= 0x80;
      expect(codeOf(() => decodeMessage(altered, 'site', 'bulk'))).toBe('wire.bad-message');
      expect(codeOf(() => decodeMessage(plaintext.subarray(0, at), 'site', 'bulk'))).toBe('wire.bad-message');
    }
    const [before, bytes, after] = [plaintext.subarray(0, ends[0]), chunk.bytes, plaintext.subarray(ends[1])];
    const longer = Buffer.concat([before, bytes, after, Buffer.of(0)]);
    expect(codeOf(() => decodeMessage(longer, 'site', 'bulk'))).toBe('wire.bad-message');
  });

  it('are refused from a peer or on a socket where they do not belong', () => {
    for (const message of all) {
      const { from, on } = MESSAGES[message.type];
      for (const party of parties) {
        for (const role of roles) {
          const allowed = (from === 'both' || from === party) && (on === 'both' || on === role);
          const code = codeOf(() => decodeMessage(encodeMessage(message), party, role));
          expect([message.type, party, role, code]).toEqual([
            message.type,
            party,
            role,
            allowed ? 'no error' : 'wire.not-allowed',
          ]);
        }
      }
    }
  });

  it('have numbers that are never shared', () => {
    expect(new Set(Object.values(MESSAGES).map((row) => row.code)).size).toBe(all.length);
  });

  it('of an unknown number are handed back by that number', () => {
    expect(decodeMessage(new Uint8Array([0x12, 0x34, 0xa0]), 'hub', 'control')).toEqual({ unknown: 0x1234 });
  });

  it.each([
    ['an unknown field', encode({ count: 1, more: 2 })],
    ['a missing field', encode({})],
    ['a wrong type', encode({ count: '1' })],
    ['a duplicate key', Buffer.from('a265636f756e740165636f756e7402', 'hex')],
    ['an indefinite length', Buffer.from('bf65636f756e7401ff', 'hex')],
    ['a tag', Buffer.from('a165636f756e74c001', 'hex')],
    ['a length longer than it needs to be', Buffer.from('a165636f756e741801', 'hex')],
    ['bytes after the end', Buffer.from('a165636f756e740100', 'hex')],
    ['a cut body', Buffer.from('a165636f', 'hex')],
    ['NaN', Buffer.from('a165636f756e74f97e00', 'hex')],
  ])('with %s are refused', (_name, body) => {
    expect(codeOf(() => decodeMessage(frame('heartbeat', body), 'site', 'control'))).toBe('wire.bad-message');
  });

  it('survive no body nested to exhaust the stack', () => {
    const nested = new Uint8Array(200_000).fill(0x81);
    expect(codeOf(() => decodeMessage(frame('heartbeat', nested), 'site', 'bulk'))).toBe('wire.bad-message');
  });

  it('that are wrong are refused at the sender too', () => {
    expect(codeOf(() => encodeMessage({ ...samples.update, loss: Number.NaN }))).toBe('wire.bad-message');
    expect(codeOf(() => encodeMessage({ ...samples['blob-want'], have: [[4, 2]] }))).toBe('wire.bad-message');
    for (const wrong of [
      { index: -1 },
      { index: 2 ** 32 },
      { bytes: new Uint8Array(0) },
      { hash: 'x'.repeat(64) },
    ])
      expect(codeOf(() => encodeInParts({ ...samples['blob-chunk'], ...wrong }))).toBe('wire.bad-message');
  });

  it('of arbitrary bytes never throw anything but a named error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...all), (bytes, message) => {
        const forged = Buffer.from(encodeMessage(message));
        forged.set(bytes.subarray(0, forged.length - 2), 2);
        codeOf(() => decodeMessage(forged, 'site', 'control'));
        codeOf(() => decodeMessage(bytes, 'hub', 'bulk'));
      }),
    );
  });
});
