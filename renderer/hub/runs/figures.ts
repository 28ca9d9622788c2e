/** @file What the closed rounds of a run add up to. */

import type { RoundOfRun } from './states.ts';

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
