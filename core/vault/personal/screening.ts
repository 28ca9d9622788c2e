/** @file Shows what rows hold of personal data: by kind how much, where, and a few veiled samples. */

import type { VaultRow } from '../mapping.ts';
import { findPersonal } from './find.ts';
import { PERSONAL_KINDS } from './kinds.ts';
import type { PersonalChoice, PersonalKind } from './kinds.ts';
import { changeTexts, veil } from './masking.ts';

const SHOWN_SAMPLES = 3;

export interface ScreenedKind {
  readonly kind: PersonalKind;
  /** Findings, and the rows that hold them. */
  readonly count: number;
  readonly rows: number;
  readonly fields: readonly string[];
  /** Three at most, veiled, all different. */
  readonly samples: readonly string[];
  readonly advice: PersonalChoice;
}

export interface Screening {
  /** Rows that were looked at. */
  readonly rows: number;
  readonly findings: readonly ScreenedKind[];
}

/** Looks at the first `limit` rows. Throws the signal's reason when it aborts. */
export async function screenRows(
  rows: AsyncIterable<VaultRow> | Iterable<VaultRow>,
  { limit, signal }: { limit: number; signal?: AbortSignal },
): Promise<Screening> {
  const kinds = new Map<
    PersonalKind,
    { count: number; rows: number; fields: Set<string>; samples: Set<string> }
  >();
  let looked = 0;
  for await (const row of rows) {
    if (looked === limit) break;
    signal?.throwIfAborted();
    looked++;
    const inRow = new Set<PersonalKind>();
    changeTexts(row, (text, field) => {
      for (const { kind, start, end } of findPersonal(text)) {
        const found = kinds.get(kind) ?? { count: 0, rows: 0, fields: new Set(), samples: new Set() };
        kinds.set(kind, found);
        found.count++;
        if (!inRow.has(kind)) found.rows++;
        inRow.add(kind);
        found.fields.add(field);
        if (found.samples.size < SHOWN_SAMPLES) found.samples.add(veil(text.slice(start, end)));
      }
      return text;
    });
  }
  const findings = PERSONAL_KINDS.flatMap((kind): ScreenedKind[] => {
    const found = kinds.get(kind);
    if (found === undefined) return [];
    const { count, rows: held, fields, samples } = found;
    return [{ kind, count, rows: held, fields: [...fields], samples: [...samples], advice: 'mask' }];
  });
  return { rows: looked, findings };
}
