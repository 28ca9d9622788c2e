/**
 * @file The two handshake messages at the start of each socket, seen from both sides. The site's begins with one
 * byte that names the pattern: 1 joins with an invitation (IKpsk2), 2 returns as a member (IK).
 */

import type { RawData, WebSocket } from 'ws';
import { isErrorCode, TributaryError } from '../errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { CLOSE_REFUSED } from './channel.ts';
import { sign, verify } from './identity.ts';
import type { Identity, Statement } from './identity.ts';
import type { KeyPair } from './keys.ts';
import { joinShape } from './messages.ts';
import type { Join, SocketRole } from './messages.ts';
import { startHandshake } from './noise.ts';
import type { NoisePattern, Transport } from './noise.ts';
import type { RosterEntry } from './roster.ts';

/** A handshake message is never longer. */
const MAX_HANDSHAKE_BYTES = 4096;

const patternBytes: Readonly<Record<NoisePattern, number>> = { IKpsk2: 1, IK: 2 };

function prologueOf(role: SocketRole): Uint8Array {
  return Buffer.from(`tributary/1 ${role}`, 'utf8');
}

function statementOf(join: Omit<Join, 'signature'>, x25519: Uint8Array): Statement {
  return ['tributary join', join.invitation, join.site, x25519];
}

/** What the hub must know to answer. */
export interface Gate {
  readonly keys: KeyPair;
  /** Those before, to which sites are answered that do not know the present ones. */
  readonly formerKeys?: KeyPair | null;
  /** The secret of an open invitation; throws when there is none. */
  readonly lookUpInvitation: (id: Uint8Array) => Uint8Array;
  /** Enters a site into the roster; throws when it may not. */
  readonly admit: (join: Join, x25519: Uint8Array) => RosterEntry;
  /** The member with this key, revoked ones too. */
  readonly lookUpMember: (x25519: Uint8Array) => RosterEntry | null;
}

export interface Answered {
  /** Whether the site knows the hub by its former keys. */
  readonly isFormer: boolean;
  readonly transport: Transport;
  /**
   * Who it is. To be called once the first frame under the session's keys has arrived: only that proves that
   * the handshake was no replay and that the caller knows the invitation's secret. Throws for strangers.
   */
  readonly identify: () => RosterEntry;
}

/** The hub's side. Throws `noise.failed` for whoever does not know the hub's key, and what the gate throws. */
export async function answerHandshake(socket: WebSocket, role: SocketRole, gate: Gate): Promise<Answered> {
  const first = await nextMessage(socket);
  const pattern = first[0] === patternBytes.IKpsk2 ? 'IKpsk2' : 'IK';
  if (first[0] !== patternBytes[pattern] || (pattern === 'IKpsk2' && role !== 'control')) {
    throw new TributaryError('noise.failed', `No handshake begins with ${first[0]} on the ${role} socket.`);
  }
  const { handshake, payload, isFormer } = openFirst(gate, { pattern, role, message: first.subarray(1) });
  const x25519 = handshake.remoteStatic() ?? new Uint8Array(0);

  if (pattern === 'IK') {
    socket.send(handshake.write());
    return {
      isFormer,
      transport: handshake.split(),
      identify: () => {
        const entry = gate.lookUpMember(x25519);
        if (entry === null) throw new TributaryError('site.unknown', 'The hub does not know this site.');
        if (entry.revoked !== null) {
          throw new TributaryError('site.revoked', `The membership of ${entry.site} was revoked.`);
        }
        return entry;
      },
    };
  }
  const join = readJoin(payload);
  if (!verify(join.ed25519, statementOf(join, x25519), join.signature)) {
    throw new TributaryError('identity.bad-signature', `${join.site} did not sign its request to join.`);
  }
  handshake.usePsk(gate.lookUpInvitation(join.invitation));
  socket.send(handshake.write());
  return { isFormer, transport: handshake.split(), identify: () => gate.admit(join, x25519) };
}

/** Opens a first message, which is sealed for the hub's keys or for those before. */
function openFirst(
  { keys, formerKeys = null }: Gate,
  { pattern, role, message }: { pattern: NoisePattern; role: SocketRole; message: Uint8Array },
): { handshake: ReturnType<typeof startHandshake>; payload: Uint8Array; isFormer: boolean } {
  const begin = (own: KeyPair): ReturnType<typeof startHandshake> =>
    startHandshake({ pattern, initiator: false, prologue: prologueOf(role), keys: own });
  const handshake = begin(keys);
  try {
    return { handshake, payload: handshake.read(message), isFormer: false };
  } catch (error) {
    if (formerKeys === null) throw error;
    const former = begin(formerKeys);
    return { handshake: former, payload: former.read(message), isFormer: true };
  }
}

function readJoin(payload: Uint8Array): Join {
  try {
    return joinShape.parse(decodeCbor(payload));
  } catch (cause) {
    throw new TributaryError('wire.bad-message', 'A request to join is malformed.', { cause });
  }
}

/** How the site introduces itself. */
export interface Introduction {
  readonly identity: Identity;
  /** The pinned static key of the hub. */
  readonly hubX25519: Uint8Array;
  /** To join: the invitation's id and secret, and the site's name. */
  readonly join?: { readonly id: Uint8Array; readonly secret: Uint8Array; readonly site: string };
}

/**
 * The site's side. Throws `hub.wrong-key` when the other end does not hold the pinned key, or the refusal it
 * closed the socket with.
 */
export async function offerHandshake(
  socket: WebSocket,
  role: SocketRole,
  introduction: Introduction,
): Promise<Transport> {
  const { identity, hubX25519, join } = introduction;
  const pattern = join === undefined ? 'IK' : 'IKpsk2';
  const handshake = startHandshake({
    pattern,
    initiator: true,
    prologue: prologueOf(role),
    keys: identity.x25519,
    remoteStatic: hubX25519,
    psk: join?.secret,
  });
  let payload: Uint8Array = new Uint8Array(0);
  if (join !== undefined) {
    const request = { invitation: join.id, site: join.site, ed25519: identity.ed25519.publicKey };
    const signature = sign(identity.ed25519, statementOf(request, identity.x25519.publicKey));
    payload = encodeCbor({ ...request, signature });
  }
  socket.send(Buffer.concat([Buffer.of(patternBytes[pattern]), handshake.write(payload)]));
  try {
    handshake.read(await nextMessage(socket));
    return handshake.split();
  } catch (thrown) {
    // A hub that cannot open our message refuses with noise.failed; a false one answers what does not open here.
    if (!(thrown instanceof TributaryError) || !thrown.code.startsWith('noise.')) throw thrown;
    throw new TributaryError('hub.wrong-key', 'The hub does not hold the key that its invitation promised.', {
      cause: thrown,
    });
  }
}

/** The next message of a socket; rejects when it closes instead, with the reason the peer gave. */
export function nextMessage(socket: WebSocket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('message', onMessage);
      socket.off('close', onClose);
    };
    const onMessage = (data: RawData, isBinary: boolean): void => {
      settle();
      if (isBinary && Buffer.isBuffer(data) && data.length > 0 && data.length <= MAX_HANDSHAKE_BYTES)
        resolve(data);
      else reject(new TributaryError('noise.failed', 'A handshake message is too long, empty or text.'));
    };
    const onClose = (code: number, reason: Buffer): void => {
      settle();
      const text = reason.toString('utf8');
      const known = code === CLOSE_REFUSED && isErrorCode(text) ? text : 'wire.closed';
      reject(new TributaryError(known, 'The other side ended the connection during the handshake.'));
    };
    socket.on('message', onMessage);
    socket.on('close', onClose);
  });
}
