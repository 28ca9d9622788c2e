/** @file Phone numbers: international ones, those of North America, Britain and China, and what is called one. */

import { digitsOf, placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const PATTERNS = [
  // With a country: +44 20 7946 0958, 0086 138 1234 5678
  /(?<![\w+.])(?:\+|00(?=[1-9]))\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,5}(?!\d)/dg,
  // North America: (212) 555-0147, 1-212-555-0147, 212.555.0147, with an extension
  /(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[.-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,5})?(?![\w-])/dg,
  // Britain: 020 7946 0958, 07700 900123, (0161) 496 0123
  /(?<![\w.-])\(?0(?:2\d|1\d{2,4}|7\d{3}|800)\)? \d{3,4} ?\d{3,4}(?![\w-])/dg,
  // China: 13812345678, 138-1234-5678, 010-62345678, (021) 6234 5678
  /(?<![\w.-])1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})(?![\w-])/dg,
  /(?<![\w.-])\(?0[1-9]\d{1,2}[-)] ?\d{3,4}[ -]?\d{4}(?![\w-])/dg,
];
const LABELLED =
  /(?:(?<![\w])(?:tel\.|tel(?:ephone)?|phone|mobile|cell|fax|pager)(?: (?:number|no\.?|#))?|电话号?码?|手机号?码?|联系方式|传真)\s*(?:is|为|是)?\s*[:：]?\s*(?<value>\+?\(?\d(?:[ ().-]?\d){5,14})(?!\d)/dgi;

export const findPhones: Detector = function* (text, { digits }): Generator<Place> {
  if (digits < 6) return;
  yield* placesOf(text, LABELLED);
  for (const pattern of PATTERNS) yield* placesOf(text, pattern, hasLength);
};

/** Of ITU-T E.164 at most, with the zeros that lead abroad. */
function hasLength(found: string): boolean {
  const { length } = digitsOf(found.replace(/(?:x|ext).*$/, ''));
  return length >= 8 && length <= 17;
}
