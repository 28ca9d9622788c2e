/** @file Waiting for what other parties do: as long as a busy machine may need, no longer than it takes. */

import { vi } from 'vitest';

const MILLISECONDS = 20_000;

/** Resolves as soon as `check` no longer throws; rejects with what it throws at last. */
export function until(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: MILLISECONDS, interval: 10 });
}
