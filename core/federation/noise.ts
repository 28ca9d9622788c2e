/**
 * @file The Noise handshakes IK and IKpsk2 with 25519, AESGCM and SHA256, and the transport ciphers they end in.
 * Source: The Noise Protocol Framework, revision 34, sections 4, 5, 7.5 and 9. Names follow the specification.
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, diffieHellman } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import { generateKeys, importPrivateKey, importPublicKey } from './keys.ts';
import type { KeyPair } from './keys.ts';

/** A Noise message, handshake or transport, is never longer (section 3). */
export const MAX_NOISE_BYTES = 65_535;
/** AES-GCM adds this many bytes to every sealed message. */
export const TAG_BYTES = 16;
/**
 * Messages under one key before the connection must be renewed. With full messages that is 2^38 bytes, below
 * AES-GCM's confidentiality limit that TLS 1.3 keeps to (RFC 8446, section 5.5), and far from nonce overflow.
 */
export const MESSAGES_PER_KEY = 2 ** 22;

const NO_BYTES = new Uint8Array(0);

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';
/** Message patterns; both have the responder's static key as pre-message (section 7.5 and 9.4). */
const patterns = {
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
  IKpsk2: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se', 'psk'],
  ],
} satisfies Record<string, readonly Token[][]>;
export type NoisePattern = keyof typeof patterns;

export interface HandshakeOptions {
  readonly pattern: NoisePattern;
  readonly initiator: boolean;
  /** Bytes both sides must agree on, though they are never sent. */
  readonly prologue: Uint8Array;
  /** Own static X25519 keys. */
  readonly keys: KeyPair;
  /** The responder's static public key: the initiator must know it. */
  readonly remoteStatic?: Uint8Array;
  /** 32 bytes; the responder may give it later with `usePsk`, once it knows who calls. */
  readonly psk?: Uint8Array;
  /** Only for published vectors: a fixed ephemeral pair instead of a fresh one. */
  readonly ephemeral?: KeyPair;
}

/** One handshake, message by message. After any failure it refuses everything. */
export interface Handshake {
  /** The next message with its payload. */
  write(payload?: Uint8Array): Uint8Array;
  /** Takes the other side's next message and returns its payload. Throws `noise.failed` or `noise.bad-key`. */
  read(message: Uint8Array): Uint8Array;
  usePsk(psk: Uint8Array): void;
  /** The other side's static key, once known. */
  remoteStatic(): Uint8Array | undefined;
  /** After the last message: the ciphers of both directions. */
  split(messagesPerKey?: number): Transport;
}

/** Sealed messages in order, each direction with its own key and nonce counter. */
export interface Transport {
  /**
   * Seals at most 65 519 bytes, into a place of the right length where one is given, which may begin with them. Throws
   * `noise.exhausted` when the key has done its share.
   */
  seal(plaintext: Uint8Array, place?: Uint8Array): Uint8Array;
  /** Opens the next message. Throws `noise.failed` for anything altered, replayed, dropped or out of order. */
  open(sealed: Uint8Array): Uint8Array;
  /** Binds both sides to this one handshake (section 11.2). */
  readonly handshakeHash: Uint8Array;
  readonly remoteStatic: Uint8Array;
}

/** Begins a handshake. */
export function startHandshake(options: HandshakeOptions): Handshake {
  const messages: readonly (readonly Token[])[] = patterns[options.pattern];
  const symmetric = symmetricState(`Noise_${options.pattern}_25519_AESGCM_SHA256`);
  const responderStatic = options.initiator ? options.remoteStatic : options.keys.publicKey;
  if (responderStatic?.length !== 32) {
    throw new TributaryError('noise.bad-key', 'The static key of the hub is missing or not 32 bytes long.');
  }
  symmetric.mixHash(options.prologue);
  symmetric.mixHash(responderStatic);

  let psk = options.psk;
  let ephemeral: KeyPair | undefined;
  let remoteEphemeral: Uint8Array | undefined;
  let remoteStatic = options.initiator ? options.remoteStatic : undefined;
  let next = 0;
  let state: 'open' | 'done' | 'broken' = 'open';

  /** `es` is the initiator's ephemeral with the responder's static key, `se` the other way round. */
  function mixShared(token: 'ee' | 'es' | 'se' | 'ss'): void {
    const [mine, theirs] = options.initiator ? [token[0], token[1]] : [token[1], token[0]];
    const own = mine === 'e' ? ephemeral : options.keys;
    const remote = theirs === 'e' ? remoteEphemeral : remoteStatic;
    symmetric.mixKey(sharedSecret(own, remote));
  }

  function mixPsk(): void {
    if (psk?.length !== 32) throw failed('The secret of the invitation is missing or not 32 bytes long.');
    symmetric.mixKeyAndHash(psk);
  }

  /** Runs one message; whatever goes wrong inside ends the handshake. */
  function step<T>(writing: boolean, run: (tokens: readonly Token[]) => T): T {
    const myTurn = (next % 2 === 0) === options.initiator;
    if (state !== 'open' || writing !== myTurn) {
      throw failed(state === 'open' ? 'It is the other side’s turn.' : 'The handshake is over.');
    }
    state = 'broken';
    const result = run(messages[next]);
    next += 1;
    state = next === messages.length ? 'done' : 'open';
    return result;
  }

  /** In handshakes with a pre-shared key the ephemeral is mixed into the key as well (section 9.2). */
  function mixEphemeral(publicKey: Uint8Array): void {
    symmetric.mixHash(publicKey);
    if (options.pattern === 'IKpsk2') symmetric.mixKey(publicKey);
  }

  return {
    write: (payload = NO_BYTES) =>
      step(true, (tokens) => {
        const parts: Uint8Array[] = [];
        for (const token of tokens) {
          if (token === 'e') {
            ephemeral = options.ephemeral ?? generateKeys('x25519');
            parts.push(ephemeral.publicKey);
            mixEphemeral(ephemeral.publicKey);
          } else if (token === 's') parts.push(symmetric.encryptAndHash(options.keys.publicKey));
          else if (token === 'psk') mixPsk();
          else mixShared(token);
        }
        parts.push(symmetric.encryptAndHash(payload));
        const message = new Uint8Array(Buffer.concat(parts));
        if (message.length > MAX_NOISE_BYTES) throw failed('The payload is too long.');
        return message;
      }),

    read: (message) =>
      step(false, (tokens) => {
        if (message.length > MAX_NOISE_BYTES) throw failed('The message is too long.');
        let rest = message;
        const take = (length: number): Uint8Array => {
          if (rest.length < length) throw failed('The message is too short.');
          const taken = rest.slice(0, length);
          rest = rest.subarray(length);
          return taken;
        };
        for (const token of tokens) {
          if (token === 'e') {
            remoteEphemeral = take(32);
            mixEphemeral(remoteEphemeral);
          } else if (token === 's') remoteStatic = symmetric.decryptAndHash(take(32 + TAG_BYTES));
          else if (token === 'psk') mixPsk();
          else mixShared(token);
        }
        return symmetric.decryptAndHash(rest);
      }),

    usePsk: (given) => {
      psk = given;
    },
    remoteStatic: () => remoteStatic,

    split: (messagesPerKey = MESSAGES_PER_KEY) => {
      if (state !== 'done' || remoteStatic === undefined) throw failed('The handshake is not complete.');
      state = 'broken';
      const [first, second] = hkdf(symmetric.chainingKey(), NO_BYTES, 2);
      const [outgoing, incoming] = options.initiator ? [first, second] : [second, first];
      return transportOf(cipherState(outgoing, messagesPerKey), cipherState(incoming, messagesPerKey), {
        handshakeHash: symmetric.hash(),
        remoteStatic,
      });
    },
  };
}

/** Apart from the handshake, of which a connection keeps nothing in memory. */
function transportOf(
  outgoing: CipherState,
  incoming: CipherState,
  about: Pick<Transport, 'handshakeHash' | 'remoteStatic'>,
): Transport {
  return {
    ...about,
    seal: (plaintext, place) => {
      if (plaintext.length > MAX_NOISE_BYTES - TAG_BYTES) throw failed('The message is too long.');
      return outgoing.encrypt(NO_BYTES, plaintext, place);
    },
    open: (sealed) => incoming.decrypt(NO_BYTES, sealed),
  };
}

/** Section 5.2: the running hash h, the chaining key ck and, once a key was mixed in, a cipher. */
function symmetricState(protocolName: string) {
  let h: Uint8Array = new Uint8Array(32);
  h.set(Buffer.from(protocolName, 'ascii')); // exactly 32 bytes at most, so padded and never hashed
  let ck = h;
  let cipher: CipherState | undefined;

  const mixHash = (data: Uint8Array): void => {
    h = createHash('sha256').update(h).update(data).digest();
  };
  return {
    mixHash,
    mixKey: (input: Uint8Array): void => {
      const [chaining, key] = hkdf(ck, input, 2);
      ck = chaining;
      cipher = cipherState(key, MESSAGES_PER_KEY);
    },
    mixKeyAndHash: (input: Uint8Array): void => {
      const [chaining, hashed, key] = hkdf(ck, input, 3);
      ck = chaining;
      mixHash(hashed);
      cipher = cipherState(key, MESSAGES_PER_KEY);
    },
    encryptAndHash: (plaintext: Uint8Array): Uint8Array => {
      const sealed = cipher === undefined ? plaintext : cipher.encrypt(h, plaintext);
      mixHash(sealed);
      return sealed;
    },
    decryptAndHash: (sealed: Uint8Array): Uint8Array => {
      const plaintext = cipher === undefined ? sealed : cipher.decrypt(h, sealed);
      mixHash(sealed);
      return plaintext;
    },
    chainingKey: () => ck,
    hash: () => new Uint8Array(h),
  };
}

type CipherState = ReturnType<typeof cipherState>;

/** Section 5.1, with AESGCM of section 12.4: the 96-bit nonce is 32 zero bits and the counter, big endian. */
function cipherState(key: Uint8Array, limit: number) {
  let counter = 0;
  let broken = false;
  const nonce = (): Buffer => {
    if (broken) throw failed('The cipher has met an altered message before.');
    if (counter >= limit) {
      throw new TributaryError('noise.exhausted', `One key has sealed ${limit} messages, the most it may.`);
    }
    const bytes = Buffer.alloc(12);
    bytes.writeBigUInt64BE(BigInt(counter), 4);
    counter += 1;
    return bytes;
  };
  return {
    encrypt: (
      associated: Uint8Array,
      plaintext: Uint8Array,
      place: Uint8Array = Buffer.allocUnsafe(plaintext.length + TAG_BYTES),
    ): Uint8Array => {
      const cipher = createCipheriv('aes-256-gcm', key, nonce()).setAAD(associated);
      place.set(cipher.update(plaintext));
      cipher.final(); // GCM holds nothing back
      place.set(cipher.getAuthTag(), plaintext.length);
      return place;
    },
    decrypt: (associated: Uint8Array, sealed: Uint8Array): Uint8Array => {
      const end = sealed.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', key, nonce(), { authTagLength: TAG_BYTES });
      try {
        decipher.setAAD(associated).setAuthTag(sealed.subarray(end));
        const opened = decipher.update(sealed.subarray(0, end));
        decipher.final(); // throws unless the tag fits
        return opened;
      } catch (cause) {
        broken = true;
        throw failed('It does not open with the agreed keys.', cause);
      }
    },
  };
}

/** Section 4.3: HKDF (RFC 5869) with the chaining key as salt and no context. */
function hkdf(chainingKey: Uint8Array, input: Uint8Array, outputs: 2 | 3): Uint8Array[] {
  const mac = (key: Uint8Array, ...data: Uint8Array[]): Uint8Array => {
    const hmac = createHmac('sha256', key);
    for (const part of data) hmac.update(part);
    return hmac.digest();
  };
  const temporary = mac(chainingKey, input);
  const results = [mac(temporary, Uint8Array.of(1))];
  for (let index = 2; index <= outputs; index++) {
    results.push(mac(temporary, results[index - 2], Uint8Array.of(index)));
  }
  return results;
}

/** X25519 (RFC 7748). A result of all zeros betrays a point of low order, which would make the secret public. */
function sharedSecret(own: KeyPair | undefined, remote: Uint8Array | undefined): Uint8Array {
  if (own === undefined || remote === undefined) throw failed('A key is missing.');
  let secret: Uint8Array;
  try {
    secret = diffieHellman({
      privateKey: importPrivateKey('x25519', own),
      publicKey: importPublicKey('x25519', remote),
    });
  } catch (cause) {
    throw new TributaryError('noise.bad-key', 'A public key of the other side is not valid.', { cause });
  }
  if (secret.every((byte) => byte === 0)) {
    throw new TributaryError('noise.bad-key', 'A public key of the other side is a point of low order.');
  }
  return secret;
}

function failed(detail: string, cause?: unknown): TributaryError {
  return new TributaryError('noise.failed', `The sealed connection failed. ${detail}`, { cause });
}
