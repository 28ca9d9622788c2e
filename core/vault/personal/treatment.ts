/** @file What an import does with the personal data of its rows, and how much it found of each kind. */

import { z } from 'zod';
import type { VaultRow } from '../mapping.ts';
import { findPersonal } from './find.ts';
import { PERSONAL_CHOICES, PERSONAL_KINDS } from './kinds.ts';
import type { PersonalChoice, PersonalKind } from './kinds.ts';
import { changeTexts, maskText } from './masking.ts';

/** By kind. A kind that is not named is counted all the same. */
export const personalChoicesShape = z.partialRecord(z.enum(PERSONAL_KINDS), z.enum(PERSONAL_CHOICES));
export type PersonalChoices = z.infer<typeof personalChoicesShape>;

const count = z.int().min(0);

/** What was found and done, by kind: kinds of which nothing was found and nothing was chosen are left out. */
export const personalReportShape = z.partialRecord(
  z.enum(PERSONAL_KINDS),
  z.strictObject({
    choice: z.enum(PERSONAL_CHOICES),
    /** Findings, and the rows that held them. */
    findings: count,
    rows: count,
  }),
);
export type PersonalReport = z.infer<typeof personalReportShape>;

export interface TreatmentOptions {
  /** What is done with personal data, by kind; with it all rows are looked at, without it none. */
  readonly personal?: PersonalChoices;
  /** What is done with kinds that `personal` does not name; they are kept where nothing is said. */
  readonly unseen?: PersonalChoice;
}

export interface Treatment {
  /** The row as it may be stored, or null where it is to be left out. */
  treat(row: VaultRow): VaultRow | null;
  report(): PersonalReport;
  /** Rows in which something was masked. */
  masked(): number;
}

export function startTreatment(choices: PersonalChoices, unseen: PersonalChoice = 'keep'): Treatment {
  const tallies = new Map(PERSONAL_KINDS.map((kind) => [kind, { findings: 0, rows: 0 }]));
  const choiceOf = (kind: PersonalKind): PersonalChoice => choices[kind] ?? unseen;
  let masked = 0;
  return {
    treat: (row) => {
      const kinds = new Set<PersonalKind>();
      let isExcluded = false;
      let isMasked = false;
      const treated = changeTexts(row, (text) => {
        const findings = findPersonal(text);
        for (const { kind } of findings) {
          kinds.add(kind);
          const tally = tallies.get(kind);
          if (tally) tally.findings++;
          if (choiceOf(kind) === 'exclude') isExcluded = true;
          if (choiceOf(kind) === 'mask') isMasked = true;
        }
        return maskText(
          text,
          findings.filter(({ kind }) => choiceOf(kind) === 'mask'),
        );
      });
      for (const kind of kinds) {
        const tally = tallies.get(kind);
        if (tally) tally.rows++;
      }
      if (isExcluded) return null;
      if (!isMasked) return row;
      masked++;
      return treated;
    },
    report: () =>
      Object.fromEntries(
        [...tallies]
          .filter(([kind, { findings }]) => findings > 0 || choices[kind] !== undefined)
          .map(([kind, tally]) => [kind, { choice: choiceOf(kind), ...tally }]),
      ),
    masked: () => masked,
  };
}
