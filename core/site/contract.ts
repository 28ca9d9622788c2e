/**
 * @file Whether the rows of a dataset are what a plan's data contract says. What it says of them is made of the
 * contract's own words and of counts, which stay at the site.
 */

import { TributaryError } from '../errors.ts';
import type { DataContract } from '../federation/data-contract.ts';
import { languageOf } from './language.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * The counts are for the site alone: whoever writes contracts could learn from them how many rows hold a name of their
 * choice. A hub is told which parts of its contract do not fit.
 */
export class ContractRefusal extends TributaryError {
  /** Parts of the contract, such as `data.labels.response`. */
  readonly parts: readonly string[];

  constructor(problems: readonly Problem[]) {
    const told = problems.map(({ part, found }) => `${part}: ${found}`).join(' ');
    super('data.contract', `The rows are not what the plan’s data contract says. ${told}`);
    this.parts = [...new Set(problems.map(({ part }) => part))];
  }
}

interface Problem {
  readonly part: string;
  /** What was expected and what was found, in counts. */
  readonly found: string;
}

/** Throws ContractRefusal `data.contract`, which names every field that does not fit. */
export function checkContract(contract: DataContract, rows: readonly Row[]): void {
  const problems = [
    ...tooFew(contract, rows),
    ...missingFields(contract, rows),
    ...strangeLabels(contract, rows),
    ...otherLanguage(contract, rows),
  ];
  if (problems.length > 0) throw new ContractRefusal(problems);
}

function tooFew({ minimumRows }: DataContract, rows: readonly Row[]): Problem[] {
  if (minimumRows === undefined || rows.length >= minimumRows) return [];
  return [{ part: 'data.minimumRows', found: `expected at least ${minimumRows}, found ${rows.length}.` }];
}

function missingFields({ fields = [] }: DataContract, rows: readonly Row[]): Problem[] {
  return fields.flatMap((field) => {
    const lacking = rows.filter((row) => isEmpty(valueOf(row, field))).length;
    if (lacking === 0) return [];
    const found = `expected “${field}” in every row, found nothing there in ${lacking} of ${rows.length}.`;
    return [{ part: 'data.fields', found }];
  });
}

/** A question is an instruction and its answer the response, by whichever of these names a row has them. */
const SAME: Readonly<Record<string, string>> = {
  question: 'instruction',
  answer: 'response',
  instruction: 'question',
  response: 'answer',
};

function valueOf(row: Row, field: string): unknown {
  if (Object.hasOwn(row, field) || !Object.hasOwn(SAME, field)) return row[field];
  return row[SAME[field]];
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value === 'string') return value.trim() === '';
  return Array.isArray(value) && value.length === 0;
}

function strangeLabels({ labels = {} }: DataContract, rows: readonly Row[]): Problem[] {
  return Object.entries(labels).flatMap(([field, vocabulary]) => {
    const counts = new Map(vocabulary.map((label) => [label, 0]));
    let others = 0;
    for (const row of rows) {
      const value = valueOf(row, field);
      const count = typeof value === 'string' ? counts.get(value) : undefined;
      if (typeof value === 'string' && count !== undefined) counts.set(value, count + 1);
      else others += 1;
    }
    if (others === 0) return [];
    const known = [...counts].map(([label, count]) => `${count} have “${label}”`).join(', ');
    const expected = vocabulary.map((label) => `“${label}”`).join(', ');
    const found = `expected one of ${expected} in every row; of ${rows.length} rows ${known} and ${others} something else.`;
    return [{ part: `data.labels.${field}`, found }];
  });
}

/** Rows whose language cannot be told, such as bare labels, speak for none. */
function otherLanguage({ language }: DataContract, rows: readonly Row[]): Problem[] {
  if (language === undefined) return [];
  let expected = 0;
  let others = 0;
  for (const row of rows) {
    const found = languageOf(textOf(row));
    if (found === language) expected += 1;
    else if (found !== null) others += 1;
  }
  if (others <= expected) return [];
  const found = `expected ${language}; ${expected} of ${rows.length} rows are written in it and ${others} in another language.`;
  return [{ part: 'data.language', found }];
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  return Object.values(value).map(textOf).join('\n');
}
