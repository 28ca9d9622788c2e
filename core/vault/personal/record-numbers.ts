/** @file Numbers by which an institution knows a person: of records, admissions, insurance; NHS numbers. */

import { digitsOf, placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const LABELS = [
  'MRN',
  'MR#',
  '(?:medical )?record (?:number|no\\.?|#|id)',
  '(?:patient|hospital|chart|case|admission|encounter|visit|accession|specimen|account|policy|member|insurance|claim|customer|client) (?:number|no\\.?|#|id(?:entifier)?)',
  'NHS(?: number| no\\.?)?',
  'Medicare(?: number| no\\.?)?',
];
const CHINESE_LABELS =
  '病历号|病案号|住院号|门诊号|就诊号|就诊卡号|登记号|床位?号|检查号|影像号|标本号|医保卡?号|社保卡?号|患者编号|病人编号|客户编号|保单号|账号';
/** A word with a digit; digits may lie in groups. */
const LABELLED = new RegExp(
  `(?:(?<![\\w])(?:${LABELS.join('|')})|${CHINESE_LABELS})\\s*(?:is|为|是)?\\s*[:：#=]?\\s*` +
    '(?<value>(?=[A-Z/-]{0,6}\\d)[A-Z0-9](?:[A-Z0-9/-]|[ ](?=\\d{3,4}(?!\\d))){2,23})(?![A-Za-z0-9])',
  'dgi',
);
/** An NHS number stands in groups of 3, 3 and 4 with blanks, or without any. Dashes are left to phone numbers. */
const NHS = /(?<![\w.+-])\d{3} ?\d{3} ?\d{4}(?![\w-]|\.\d)/dg;

export const findRecordNumbers: Detector = function* (text, { digits }): Generator<Place> {
  if (digits === 0) return;
  yield* placesOf(text, LABELLED);
  if (digits >= 10) yield* placesOf(text, NHS, isNhsNumber);
};

/** Nine digits weighted 10 to 2, whose sum the tenth makes up to a multiple of 11. */
function isNhsNumber(found: string): boolean {
  const digits = digitsOf(found);
  const sum = digits.slice(0, 9).reduce((total, digit, at) => total + digit * (10 - at), 0);
  return new Set(digits).size > 1 && (11 - (sum % 11)) % 11 === digits[9];
}
