/** @file Shapes of options that several commands share. */

import { z } from 'zod';
import { parseDuration } from '../../core/federation/duration.ts';

/** `90s`, `10m`, `2h`, `7d`, as seconds. */
export const duration = z.string().transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds !== null && seconds > 0) return seconds;
  context.addIssue({ code: 'custom', message: 'expected a duration such as 90s, 10m, 2h or 7d' });
  return z.NEVER;
});

/** A TCP port; 0 leaves the choice to the system. */
export const port = z.coerce.number().int().min(0).max(65_535);

/** What a log records. */
export const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);

/** Collects an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
