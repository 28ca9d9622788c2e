/** @file How far a run is, and what its closed rounds add up to. */

import type { HubRun, RoundOfRun } from './states.ts';

/** Sites whose steps the round under way waits for. */
const BUSY: ReadonlySet<string> = new Set(['approved', 'away', 'fetching', 'training']);
/** Sites that are through with theirs. */
const TRAINED: ReadonlySet<string> = new Set(['sending', 'sent']);

/**
 * Rounds that an open run has behind it, and of the one under way the mean of what its sites have trained of their
 * steps; a site that trains none yet, or is away, has trained none.
 */
export function roundsDone(
  { round, phase }: Pick<HubRun, 'round'> & { readonly phase: string },
  sites: readonly Pick<HubRun['sites'][number], 'state' | 'step' | 'steps'>[],
): number {
  if (round === null) return 0;
  if (phase !== 'collecting' && phase !== 'waiting') return round + 1;
  const shares = sites.flatMap(({ state, step, steps }) => {
    if (TRAINED.has(state)) return [1];
    return BUSY.has(state) ? [step !== null && steps ? step / steps : 0] : [];
  });
  return round + shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}

/** Bytes in both directions and seconds of all rounds. */
export function totals(history: readonly RoundOfRun[]): { up: number; down: number; seconds: number } {
  const sum = { up: 0, down: 0, seconds: 0 };
  for (const { bytesUp, bytesDown, seconds } of history) {
    sum.up += bytesUp;
    sum.down += bytesDown;
    sum.seconds += seconds;
  }
  return sum;
}

/** Bytes of each site over all rounds, the one that moved most first. */
export function bytesBySite(
  history: readonly RoundOfRun[],
): { readonly name: string; readonly up: number; readonly down: number }[] {
  const found = new Map<string, { name: string; up: number; down: number }>();
  for (const { name, bytesUp, bytesDown } of history.flatMap(({ sites }) => sites)) {
    const before = found.get(name) ?? { name, up: 0, down: 0 };
    found.set(name, { name, up: before.up + bytesUp, down: before.down + bytesDown });
  }
  return [...found.values()].sort((one, other) => other.up + other.down - (one.up + one.down));
}

/** A number of each round by its name; null where a round has none. Names in alphabetical order. */
export function curves(
  history: readonly RoundOfRun[],
  metricsOf: (round: RoundOfRun) => Readonly<Record<string, number | undefined>>,
): { readonly name: string; readonly values: (number | null)[] }[] {
  const names = [...new Set(history.flatMap((round) => Object.keys(metricsOf(round))))].sort();
  return names.map((name) => ({
    name,
    values: history.map((round) => metricsOf(round)[name] ?? null),
  }));
}

/** The unit in which the largest of these bytes is written in few digits. */
export function unitOf(bytes: readonly number[]): { readonly name: string; readonly bytes: number } {
  const units = [
    { name: 'GB', bytes: 1e9 },
    { name: 'MB', bytes: 1e6 },
  ];
  const most = Math.max(0, ...bytes);
  return units.find((unit) => most >= unit.bytes) ?? { name: 'kB', bytes: 1000 };
}
