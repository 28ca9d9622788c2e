/** @file What a command prints: sentences for a person, or one JSON object a line. */

import type { TributaryError } from '../../core/errors.ts';

/** The values of a result or an event by name; sizes in bytes, times in seconds. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Output {
  readonly json: boolean;
  /** Prints a line for a person; nothing with `--json`. */
  line(text: string): void;
  /** Prints an event as JSON; nothing for a person. */
  event(type: string, fields: Fields): void;
  /** Prints the command's result as JSON, which ends the output; nothing for a person. */
  result(fields: Fields): void;
  /** Prints `code: what happened. What to do.` to the error stream, and with `--json` an error event too. */
  error(error: TributaryError): void;
}

export interface Streams {
  readonly out: { write(text: string): unknown };
  readonly error: { write(text: string): unknown };
}

export function openOutput(
  json: boolean,
  streams: Streams = { out: process.stdout, error: process.stderr },
): Output {
  const print = (object: Fields): void => void streams.out.write(`${JSON.stringify(object)}\n`);
  return {
    json,
    line: (text) => {
      if (!json) streams.out.write(`${text}\n`);
    },
    event: (type, fields) => {
      if (json) print({ type, ...fields });
    },
    result: (fields) => {
      if (json) print({ type: 'result', ...fields });
    },
    error: ({ code, message, hint }) => {
      if (json) print({ type: 'error', code, message, hint });
      streams.error.write(`${code}: ${asSentence(message)} ${hint}\n`);
    },
  };
}

function asSentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}
