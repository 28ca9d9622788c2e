/** @file The one table of error codes. Every failure a person can meet has a row here. */

interface ErrorRow {
  /** What to do about it, one or two sentences. */
  hint: string;
  /** Whether the same action may succeed later without a change (a network that is down, a full disk). */
  retryable?: true;
  /** Exit status of the command line; 1 when absent, 2 for wrong usage, 3 for refused by policy. */
  exit?: 2 | 3;
}

const rows = {
  'internal.unexpected': { hint: 'Please report it with the details from the log.' },
  'usage.invalid': { hint: 'Run the command with --help to see its options.', exit: 2 },
  'file.not-found': { hint: 'Check the path and that you may read it.' },
  'disk.full': { hint: 'Free some space on that disk and run the same command again.', retryable: true },
} satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof rows;

/** The table, typed so that every code has the same shape. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = rows;

/** An error for a person: `code` names the row, `message` says what happened, `hint` what to do. */
export class TributaryError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'TributaryError';
    this.code = code;
    this.hint = options.hint ?? ERRORS[code].hint;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable === true;
  }

  get exitStatus(): number {
    return ERRORS[this.code].exit ?? 1;
  }
}

const systemCodes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk.full',
  ENOENT: 'file.not-found',
};

/** Normalises anything thrown at the one border where it is shown to a person or put on the wire. */
export function toTributaryError(thrown: unknown): TributaryError {
  if (thrown instanceof TributaryError) return thrown;
  if (thrown instanceof Error) {
    const system = systemCodes[(thrown as NodeJS.ErrnoException).code ?? ''];
    return new TributaryError(system ?? 'internal.unexpected', thrown.message, { cause: thrown });
  }
  return new TributaryError('internal.unexpected', String(thrown));
}
