/** @file An error as something to be shown beside other things. */

import { toTributaryError } from '../errors.ts';
import type { TributaryError } from '../errors.ts';
import type { Problem } from './contract/request.ts';

export function problemOf({ code, message, windowHint: hint }: TributaryError): Problem {
  return { code, message, hint };
}

/** What a check throws; null where it throws nothing. */
export function refusalOf(check: () => void): Problem | null {
  try {
    check();
    return null;
  } catch (thrown) {
    return problemOf(toTributaryError(thrown));
  }
}
