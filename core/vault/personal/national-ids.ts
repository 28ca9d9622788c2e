/** @file Numbers by which a state knows a person: Chinese resident identity numbers, US social security numbers. */

import { digitsOf, isDay, placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const RESIDENT = /(?<![0-9A-Za-z])\d{17}[\dXx](?![0-9A-Za-z])/dg;
const SOCIAL_SECURITY = /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/dg;
/** What a person calls so is one, also when its form says nothing or it was mistyped. */
const LABELLED =
  /(?:\b(?:SSN|social security (?:number|no\.?)|passport (?:number|no\.?)|national id(?:entity)?(?: number)?)|身份证(?:号码|号)?|护照号码?)\s*(?:is|为|是)?\s*[:：#]?\s*(?<value>[A-Z]{0,2}\d[\dXx -]{5,18}[\dXx])(?![0-9A-Za-z])/dgi;

export const findNationalIds: Detector = function* (text, { digits, dash }): Generator<Place> {
  if (digits < 6) return;
  yield* placesOf(text, LABELLED);
  if (digits >= 17) yield* placesOf(text, RESIDENT, isResidentNumber);
  if (digits >= 9 && dash) yield* placesOf(text, SOCIAL_SECURITY, isSocialSecurityNumber);
};

/** Place of a digit from the left → its weight, 2^(17 − place) modulo 11 (GB 11643, ISO 7064 MOD 11-2). */
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = '10X98765432';

/** A province from 11 to 82, a day of birth, and the check digit. */
function isResidentNumber(number: string): boolean {
  const province = Number(number.slice(0, 2));
  const [year, month, day] = [number.slice(6, 10), number.slice(10, 12), number.slice(12, 14)].map(Number);
  const digits = digitsOf(number.slice(0, 17));
  const sum = digits.reduce((total, digit, at) => total + digit * WEIGHTS[at], 0);
  return (
    province >= 11 &&
    province <= 82 &&
    year >= 1850 &&
    year < 2100 &&
    isDay(year, month, day) &&
    CHECKS[sum % 11] === number[17].toUpperCase()
  );
}

/** It has no check digit; some numbers are never given. */
function isSocialSecurityNumber(number: string): boolean {
  const [area, group, serial] = number.split('-').map(Number);
  return area > 0 && area !== 666 && area < 900 && group > 0 && serial > 0;
}
