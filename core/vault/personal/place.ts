/** @file Where in a text something lies. */

/** Half-open range [start, end) of UTF-16 units. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** Finds one kind of personal data in a text, in order. */
export type Detector = (text: string) => Iterable<Place>;

/** Places of a pattern's matches, or of their group `value` where the pattern has one, that pass a test. */
export function* placesOf(
  text: string,
  /** With the flags `d` and `g`. */
  pattern: RegExp,
  accept: (value: string) => boolean = () => true,
): Generator<Place> {
  for (const { indices, groups, 0: whole } of text.matchAll(pattern)) {
    const [start, end] = indices?.groups?.value ?? indices?.[0] ?? [0, 0];
    if (accept(groups?.value ?? whole)) yield { start, end };
  }
}

/** Whether a text has so many digits, which is sooner found out than that no pattern with as many matches. */
export function hasDigits(text: string, least: number): boolean {
  return text.replace(/\D+/g, '').length >= least;
}

/** The digits of a text. */
export function digitsOf(text: string): number[] {
  return Array.from(text.replace(/\D/g, ''), Number);
}

/** Whether there is such a day in the calendar. */
export function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
