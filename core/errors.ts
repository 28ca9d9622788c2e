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

  'wire.bad-message': { hint: 'Install the same version of Tributary at the hub and at the site.' },
  'wire.not-allowed': { hint: 'The other side is faulty or not what it claims to be. Look at its log.' },
  'wire.version': { hint: 'Update the older side; its members, keys and invitations stay valid.' },
  'wire.refused': { hint: 'The reason comes from the other side. Ask who runs it.' },
  'wire.closed': { hint: 'Nothing is lost: it connects again and goes on by itself.', retryable: true },
  'wire.dead-peer': { hint: 'Nothing is lost: it connects again and goes on by itself.', retryable: true },

  'noise.failed': {
    hint: 'The message was altered on its way or made with other keys. Check the network between.',
  },
  'noise.bad-key': { hint: 'A key of the other side is not valid. Ask for a new invitation.' },
  'noise.exhausted': { hint: 'The connection is renewed with fresh keys.', retryable: true },

  'identity.damaged': { hint: 'Restore the key files from a copy, or start again in a new folder.' },
  'identity.bad-signature': {
    hint: 'The statement was altered or signed by someone else. Ask the coordinator.',
  },
  'invitation.garbled': { hint: 'Copy the whole line, from tributary1. to its end, and paste it again.' },
  'invitation.expired': { hint: 'Ask the coordinator for a new invitation.' },
  'invitation.used': { hint: 'An invitation admits one site once. Ask the coordinator for a new one.' },
  'roster.bad-signature': { hint: 'The list of members is not the one the hub signed. Ask the coordinator.' },
  'roster.rolled-back': {
    hint: 'The hub shows an older list of members than before. Ask the coordinator why.',
  },

  'transfer.corrupt': { hint: 'The damaged part is fetched again.', retryable: true },
  'transfer.refused': { hint: 'The other side does not offer this blob, or it is larger than allowed.' },
  'transfer.too-large': { hint: 'Raise the limit on blobs, or lower the rank of the adapter in the plan.' },

  'folder.locked': { hint: 'Stop the process that uses it, or choose another folder.' },
  'folder.not-running': { hint: 'Start it with the start command, then ask again.', retryable: true },
  'database.future': { hint: 'Update Tributary: a newer version has written this database.' },
  'database.damaged': { hint: 'Restore the folder from a copy.' },
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
