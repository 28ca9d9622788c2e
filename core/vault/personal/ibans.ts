/** @file Bank accounts by ISO 13616: a country, its length, and the remainder 1 modulo 97. */

import type { Detector, Place } from './place.ts';

/** Characters of an account by its country, from the register of SWIFT. */
const LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'NO15 BE16 DK18 FI18 FO18 GL18 NL18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 CH21 HR21 LI21 LV21 ' +
    'BG22 BH22 CR22 DE22 GB22 GE22 IE22 ME22 RS22 AE23 GI23 IL23 TL23 AD24 CZ24 ES24 MD24 PK24 RO24 SA24 SE24 ' +
    'SK24 TN24 VG24 PT25 IS26 TR26 FR27 GR27 IT27 MC27 MR27 SM27 AL28 AZ28 CY28 DO28 GT28 HU28 LB28 PL28 BR29 ' +
    'PS29 QA29 UA29 JO30 KW30 MU30 MT31 SC31 LC32'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

const BEGINNING = /(?<![A-Za-z0-9])([A-Z]{2})\d{2}(?=[ -]?[A-Z0-9])/g;

export const findIbans: Detector = function* (text, { digits, capitals }): Generator<Place> {
  if (digits < 2 || !capitals) return;
  for (const { index, 1: country } of text.matchAll(BEGINNING)) {
    const length = LENGTHS[country];
    if (length === undefined) continue;
    const end = endOf(text, index, length);
    if (end === null) continue;
    if (remainder97(text.slice(index, end).replace(/[ -]/g, '')) === 1) yield { start: index, end };
  }
};

/** Behind so many letters and digits, with single blanks or dashes between them. */
function endOf(text: string, start: number, length: number): number | null {
  let at = start;
  for (let taken = 0; taken < length; taken++) {
    if (/[ -]/.test(text.charAt(at))) at++;
    if (!/[A-Z0-9]/.test(text.charAt(at))) return null;
    at++;
  }
  return /[A-Za-z0-9]/.test(text.charAt(at)) ? null : at;
}

/** Of the number that the account makes with its first four characters at its end and letters as 10 to 35. */
function remainder97(account: string): number {
  let remainder = 0;
  for (const character of account.slice(4) + account.slice(0, 4)) {
    for (const digit of String(Number.parseInt(character, 36)))
      remainder = (remainder * 10 + Number(digit)) % 97;
  }
  return remainder;
}
