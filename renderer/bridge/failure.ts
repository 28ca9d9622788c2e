/** @file An error of the bridge as something that can be thrown and shown. */

import type { BridgeErrorBody } from './types.ts';

export class Failure extends Error implements BridgeErrorBody {
  readonly code: string;
  readonly hint: string;
  readonly details: string | undefined;

  constructor({ code, message, hint, details }: BridgeErrorBody) {
    super(message);
    this.name = 'Failure';
    this.code = code;
    this.hint = hint;
    this.details = details;
  }
}

const isBody = (thrown: unknown): thrown is BridgeErrorBody =>
  typeof thrown === 'object' &&
  thrown !== null &&
  'code' in thrown &&
  'message' in thrown &&
  'hint' in thrown;

/** Whatever was thrown, as a failure that a person can read. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (isBody(thrown)) return new Failure(thrown);
  const details = thrown instanceof Error ? thrown.stack : String(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure({ code: 'window.unexpected', message, hint: '', details });
}
