/** @file How long work reports and is stopped. */

import { TributaryError } from '../errors.ts';

/** What long work reports and how it is stopped. */
export interface Observer<Report> {
  readonly signal?: AbortSignal;
  report?(report: Report): void;
}

/** @throws TributaryError `training.stopped` when the signal is aborted */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TributaryError('training.stopped', 'The work was stopped before its end.');
}
