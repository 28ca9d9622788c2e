/** @file Which error something ends with. */

import { TributaryError, type ErrorCode } from '../../core/errors.ts';

/** The code of the TributaryError that `action` throws. */
export function codeOf(action: () => unknown): ErrorCode | 'no error' {
  try {
    action();
    return 'no error';
  } catch (error) {
    if (error instanceof TributaryError) return error.code;
    throw error;
  }
}

/** As `codeOf`, for promises. */
export async function codeOfAsync(action: () => Promise<unknown>): Promise<ErrorCode | 'no error'> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    if (error instanceof TributaryError) return error.code;
    throw error;
  }
}

/** The TributaryError that `action` throws or rejects with. */
export async function errorOf(action: () => unknown): Promise<TributaryError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof TributaryError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}
