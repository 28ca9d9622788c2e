/** @file Days of the calendar. A year alone, or a month with a year, tells nobody apart and is left. */

import { isDay, placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const MONTHS = [
  ...['jan(?:uary)?', 'feb(?:ruary)?', 'mar(?:ch)?', 'apr(?:il)?', 'may', 'june?', 'july?'],
  ...['aug(?:ust)?', 'sept?(?:ember)?', 'oct(?:ober)?', 'nov(?:ember)?', 'dec(?:ember)?'],
].join('|');
const WORDS = [
  `(?<![\\w])\\d{1,2}(?:st|nd|rd|th)?(?: of)?[ -](?:${MONTHS})\\.?,?[ -](?:19|20)\\d{2}(?!\\d)`,
  `(?<![\\w])(?:${MONTHS})\\.? \\d{1,2}(?:st|nd|rd|th)?,? (?:19|20)\\d{2}(?!\\d)`,
  `(?<![\\w])(?:${MONTHS})\\.? \\d{1,2}(?:st|nd|rd|th)(?!\\w)`,
  '(?:(?:19|20)\\d{2} ?年 ?)?\\d{1,2} ?月 ?\\d{1,2} ?[日号]',
].map((pattern) => new RegExp(pattern, 'dgi'));
/** Year first, or day and month in either order with the year of four digits, or of two with strokes. */
const NUMBERS = [
  /(?<![\d./-])(?:19|20)\d{2}([-/.])\d{1,2}\1\d{1,2}(?!\d|[-/.]\d)/dg,
  /(?<![\d./-])\d{1,2}([-/.])\d{1,2}\1(?:19|20)\d{2}(?!\d|[-/.]\d)/dg,
  /(?<![\d./-])\d{1,2}\/\d{1,2}\/\d{2}(?!\d|[-/.]\d)/dg,
];

export const findDates: Detector = function* (text, { digits }): Generator<Place> {
  if (digits === 0) return;
  if (/\d[-/.]\d/.test(text)) for (const pattern of NUMBERS) yield* placesOf(text, pattern, isDate);
  // Without a year, an ordinal or 月 none of them can match; this is found out sooner.
  if (/(?:19|20)\d{2}|\d(?:st|nd|rd|th)|月/i.test(text))
    for (const pattern of WORDS) yield* placesOf(text, pattern, hasDay);
};

function isDate(found: string): boolean {
  const [first, second, third] = found.split(/[-/.]/).map(Number);
  if (first > 31) return isDay(first, second, third);
  return isDay(third, second, first) || isDay(third, first, second);
}

/** A month's length is not looked at here: 31 is never too many for a typing error. */
function hasDay(found: string): boolean {
  return found.match(/\d+/g)?.some((number) => Number(number) >= 1 && Number(number) <= 31) ?? false;
}
