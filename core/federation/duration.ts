/** @file Durations as people write them: `90s`, `10m`, `2h`, `7d`. */

const secondsPerUnit = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Seconds of a duration such as `10m`, or null if the text is none. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text.trim());
  if (match === null) return null;
  const unit = match[2];
  if (unit !== 's' && unit !== 'm' && unit !== 'h' && unit !== 'd') return null;
  return Number(match[1]) * secondsPerUnit[unit];
}
