/** @file How long work reports and is stopped. */

import { TributaryError } from '../errors.ts';

/** What long work reports and how it is stopped. */
export interface Observer<Report> {
  /** Ends the work at the next moment it can, with nothing saved. */
  readonly signal?: AbortSignal;
  /** Ends a training after the step it is in, with a checkpoint where it makes any. */
  readonly finish?: AbortSignal;
  report?(report: Report): void;
  notice?(notice: Notice): void;
}

/** What a person should know and what is no error, as a sentence. */
export interface Notice {
  readonly event: 'checkpoint' | 'checkpoint-damaged' | 'resumed' | 'engine-restarted';
  readonly message: string;
  /** Steps that are taken, where it is about one of them. */
  readonly step?: number;
}

/** @throws TributaryError `training.stopped` when the signal is aborted */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TributaryError('training.stopped', 'The work was stopped before its end.');
}
