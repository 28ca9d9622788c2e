/** @file Errors across the wire: what the other side is told of one, and what one that it tells of is here. */

import { isErrorCode, TributaryError } from '../errors.ts';
import type { MessageOf } from './messages.ts';

type Refusal = Pick<MessageOf<'refuse'>, 'code' | 'message' | 'hint'>;

/** Errors of a machine’s own disk and program, whose sentences may name its paths. */
const OWN = /^(?:disk|file|database|internal)\./;

/** What of an error leaves this machine. */
export function toldToPeer({ code, message, hint }: TributaryError): Refusal {
  if (OWN.test(code)) {
    return { code, message: `The other side has trouble of its own (${code}); its log says more.`, hint: '' };
  }
  return { code, message: message.slice(0, 2000), hint: hint.slice(0, 2000) };
}

/** What a peer’s refusal is here: its code if this program knows it, else `wire.refused`. */
export function errorOf({ code, message, hint }: Refusal): TributaryError {
  if (code === 'disk.full') {
    return new TributaryError('peer.disk-full', 'The other side has no space left on its disk.');
  }
  const known = isErrorCode(code) ? code : 'wire.refused';
  return new TributaryError(known, message, hint === '' ? {} : { hint });
}
