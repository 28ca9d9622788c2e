/** @file Waiting for what other parties do: as long as a busy machine may need, no longer than it takes. */

import { vi } from 'vitest';

const MILLISECONDS = 60_000;
/** Between two looks: what a look costs is taken from those who are waited for. */
const INTERVAL = 30;

/** Resolves as soon as `check` no longer throws; rejects with what it throws at last. */
export function until(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: MILLISECONDS, interval: INTERVAL });
}
