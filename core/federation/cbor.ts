/** @file The one CBOR dialect of the wire: deterministic on the way out, strict on the way in. */

import { decode, encode } from 'cborg';

/** Encodes with sorted keys and shortest lengths (RFC 8949, section 4.2), so equal values give equal bytes. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value);
}

/**
 * Decodes one CBOR item and nothing after it. Throws on duplicate or non-string keys, indefinite lengths,
 * tags, `undefined`, NaN, infinities, integers beyond 2^53 and lengths longer than they need to be.
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  return decode(bytes, {
    strict: true,
    allowIndefinite: false,
    allowUndefined: false,
    allowNaN: false,
    allowInfinity: false,
    allowBigInt: false,
    rejectDuplicateMapKeys: true,
  });
}
