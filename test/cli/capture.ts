/** @file Runs a command line within a test and captures what it prints. */

import { afterEach, beforeEach, vi } from 'vitest';
import { runCommandLine } from '../../main/cli/program.ts';

export interface Captured {
  out: string;
  error: string;
}

/** What the commands of the running test have printed; emptied before each test. */
export function captureOutput(): Captured {
  const captured: Captured = { out: '', error: '' };
  beforeEach(() => {
    captured.out = captured.error = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((captured.out += String(text)), true));
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((captured.error += String(text)), true));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });
  return captured;
}

/** Runs a command line and gives its exit status. */
export async function run(...words: string[]): Promise<number> {
  process.exitCode = undefined;
  await runCommandLine(words);
  return Number(process.exitCode ?? 0);
}
