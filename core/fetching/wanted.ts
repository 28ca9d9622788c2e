/** @file A file that a catalogue names, and what is said where it cannot be had. */

import type { ErrorCode } from '../errors.ts';
import type { Source } from './sources.ts';

export interface WantedFile {
  /** In its catalogue. */
  readonly id: string;
  /** Its name in the folder of its kind. */
  readonly file: string;
  /** Size of the file; about, where it is not pinned. */
  readonly bytes: number;
  /** Null: unpinned, since the hash could not be checked. It is remembered at first use (`first-use.ts`). */
  readonly sha256: string | null;
  /** Tried in this order. */
  readonly sources: readonly Source[];
}

/** What a catalogue's files are, in words and codes. */
export interface FileKind {
  /** Such as "model". */
  readonly noun: string;
  readonly notReachable: ErrorCode;
  readonly otherHash: ErrorCode;
  /** For a memory of first uses that cannot be read. */
  readonly damaged: ErrorCode;
}
