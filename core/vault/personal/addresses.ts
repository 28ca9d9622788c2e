/** @file Where people live: streets with a number, places with a postcode, and what is called an address. */

import { placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const STREETS =
  'Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Crescent|Close|Parkway|Pkwy|Highway|Hwy|Gardens|Mews|Row|Way';
const FLAT = '(?:Apartment|Apt|Suite|Ste|Unit|Flat|Floor|Room|#)\\.? ?[A-Z0-9-]{1,6}';
const PLACE = "[A-Z][A-Za-z'-]+(?: [A-Z][A-Za-z'-]+){0,2}";
const POSTCODE = '(?:[A-Z]{2} \\d{5}(?:-\\d{4})?|[A-Z]{1,2}\\d[A-Z\\d]? \\d[ABD-HJLNP-UW-Z]{2})';

const PATTERNS = [
  // 12 Elm Street, Flat 4, Springfield, IL 62704
  new RegExp(
    `(?<![\\w.,/-])(?:${FLAT},? )?\\d{1,5}[A-Za-z]? (?:(?:[NSEW]|North|South|East|West)\\.? )?` +
      `(?:[A-Z][A-Za-z'’-]*|\\d{1,3}(?:st|nd|rd|th))(?: [A-Z][A-Za-z'’-]*){0,2} (?:${STREETS})\\b\\.?` +
      `(?:,? ${FLAT})?(?:,? ${PLACE})?(?:,? ${POSTCODE})?`,
    'dg',
  ),
  // Springfield, IL 62704
  new RegExp(`(?<![\\w])${PLACE}, [A-Z]{2} \\d{5}(?:-\\d{4})?(?![\\w-])`, 'dg'),
  // The second half of a British postcode never holds C, I, K, M, O or V.
  /(?<![\w])[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)/dg,
  /(?<![\w])P\.? ?O\.? Box \d{1,6}(?!\w)/dgi,
];
const CHINESE = [
  // 北京市海淀区中关村大街12号3单元502室
  /(?:\p{Script=Han}{2,8}(?:省|自治区))?(?:\p{Script=Han}{2,8}[市州])?(?:\p{Script=Han}{1,8}[区县])?\p{Script=Han}{1,12}(?:路|街|巷|弄|胡同|大道|里)\d{1,5}(?:号|弄)(?:院|楼)?(?:\d{1,4}(?:号楼|栋|幢|座|单元|层|楼|室|号))*/dgu,
  /\p{Script=Han}{2,8}(?:小区|花园|公寓|新村|家园|苑)\d{1,4}(?:号楼|栋|幢|座|单元|室)(?:\d{1,4}(?:单元|层|楼|室|号))*/dgu,
];
const LABELLED =
  /(?:(?<![\w-])(?:home |mailing |postal |street |billing )?address|住址|家庭住址|地址|现住址|户籍地)\s*[:：]\s*(?<value>(?=[^\n;；。]{0,80}\d)[^\n;；。]{6,120})/dgi;

export const findAddresses: Detector = function* (text, { digits, label, capitals, han }): Generator<Place> {
  // What every pattern needs is looked for first, which is sooner done.
  if (digits === 0) return;
  if (label) yield* placesOf(text, LABELLED, (value) => !/@|https?:|www\./.test(value));
  if (capitals || text.includes('box')) for (const pattern of PATTERNS) yield* placesOf(text, pattern);
  if (han && /[号弄室栋幢座元]/.test(text)) for (const pattern of CHINESE) yield* placesOf(text, pattern);
};
