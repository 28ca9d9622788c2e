/** @file Numbers of payment cards: a known issuer's beginning and length, and Luhn's check digit (ISO/IEC 7812). */

import { digitsOf, placesOf } from './place.ts';
import type { Detector } from './place.ts';

const NUMBER = /(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w]|\.\d)/dg;

/** Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay. */
const ISSUERS: readonly RegExp[] = [
  /^4(\d{12}|\d{15}|\d{18})$/,
  /^(5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})$/,
  /^3[47]\d{13}$/,
  /^3(0[0-5]|[68]\d)\d{11}$/,
  /^6(011|5\d\d|4[4-9]\d)\d{12}$/,
  /^35(2[89]|[3-8]\d)\d{12}$/,
  /^62\d{14,17}$/,
];

export const findCardNumbers: Detector = (text, { digits }) =>
  digits < 13 ? [] : placesOf(text, NUMBER, isCardNumber);

function isCardNumber(found: string): boolean {
  const digits = digitsOf(found);
  return ISSUERS.some((issuer) => issuer.test(digits.join(''))) && isLuhn(digits);
}

/** Every second digit from the right doubled, less nine where that has two digits; the sum ends with 0. */
function isLuhn(digits: readonly number[]): boolean {
  const sum = digits.reduceRight((total, digit, at) => {
    const doubled = (digits.length - 1 - at) % 2 === 1 ? digit * 2 : digit;
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return sum % 10 === 0;
}
