/** @file Where in a text something lies. */

/** Half-open range [start, end) of UTF-16 units. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** What a text has at all: found out in one pass, and sooner than that no pattern matches. */
export interface Traits {
  readonly digits: number;
  readonly capitals: boolean;
  /** A colon or the like, as behind a label. */
  readonly label: boolean;
  readonly at: boolean;
  readonly dash: boolean;
  readonly han: boolean;
}

/** Finds one kind of personal data in a text, in order. */
export type Detector = (text: string, traits: Traits) => Iterable<Place>;

export function traitsOf(text: string): Traits {
  let digits = 0;
  let capitals = false;
  let label = false;
  let at = false;
  let dash = false;
  let han = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) {
      // Capitals of other alphabets, wide colons and every Han character are beyond ASCII: none is told apart here.
      capitals = true;
      if (code >= 0x2e80) label = han = true;
    } else if (code <= 57 && code >= 48) digits++;
    else if (code >= 65 && code <= 90) capitals = true;
    else if (code === 58 || code === 61) label = true;
    else if (code === 64) at = true;
    else if (code === 45) dash = true;
  }
  return { digits, capitals, label, at, dash, han };
}

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

/** The digits of a text. */
export function digitsOf(text: string): number[] {
  return Array.from(text.replace(/\D/g, ''), Number);
}

/** Whether there is such a day in the calendar. */
export function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
