/** @file Reading the final number out of an answer to a GSM8K problem. */

/** What stands for an answer in which no number was found. */
export const NO_ANSWER = '[invalid]';

export interface Gsm8kScore {
  /** The number after the first `####`, as written. */
  readonly strict: string;
  /** The last number, as written. */
  readonly flexible: string;
  readonly strictMatch: boolean;
  readonly flexibleMatch: boolean;
  /** Whether the last number and the gold answer are equal as numbers, so that 18.00 is 18. */
  readonly numericMatch: boolean;
}

/** Compares an answer with the gold answer (`… #### 18`) by strings and by numbers. */
export function scoreGsm8k(prediction: string, gold: string): Gsm8kScore {
  const strict = /#### (-?[0-9.,]+)/.exec(prediction)?.[1] ?? NO_ANSWER;
  const flexible = prediction.match(/(-?[$0-9.,]{2,})|(-?[0-9]+)/g)?.at(-1) ?? NO_ANSWER;
  const expected = normaliseAnswer(gold);
  return {
    strict,
    flexible,
    strictMatch: normaliseAnswer(strict) === expected,
    flexibleMatch: normaliseAnswer(flexible) === expected,
    numericMatch: equalNumbers(normaliseAnswer(flexible), expected),
  };
}

/** Without thousands separators, dollar signs, all up to the last `#### ` and one final full stop. */
export function normaliseAnswer(answer: string): string {
  return answer
    .replaceAll(/[,$]/g, '')
    .replace(/^[^]*#### /, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

function equalNumbers(a: string, b: string): boolean {
  const isNumber = /^-?[0-9]+(\.[0-9]+)?$/;
  return isNumber.test(a) && isNumber.test(b) && Number(a) === Number(b);
}
