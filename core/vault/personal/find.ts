/** @file Finds personal data in a text by its form, check digits and labels: no model, nothing is sent anywhere. */

import { findAddresses } from './addresses.ts';
import { findCardNumbers } from './card-numbers.ts';
import { findDates } from './dates.ts';
import { findEmails } from './emails.ts';
import { findIbans } from './ibans.ts';
import { PERSONAL_KINDS } from './kinds.ts';
import type { PersonalKind } from './kinds.ts';
import { findNames } from './names.ts';
import { findNationalIds } from './national-ids.ts';
import { findPhones } from './phones.ts';
import { traitsOf } from './place.ts';
import type { Detector, Place } from './place.ts';
import { findRecordNumbers } from './record-numbers.ts';

const DETECTORS: Readonly<Record<PersonalKind, Detector>> = {
  email: findEmails,
  iban: findIbans,
  'card-number': findCardNumbers,
  'national-id': findNationalIds,
  'record-number': findRecordNumbers,
  date: findDates,
  phone: findPhones,
  address: findAddresses,
  name: findNames,
};

export interface Finding extends Place {
  readonly kind: PersonalKind;
}

/** All findings in their order, none over another: the surer kind counts, of one kind the earlier and longer place. */
export function findPersonal(text: string): Finding[] {
  const traits = traitsOf(text);
  const found: Finding[] = [];
  for (const kind of PERSONAL_KINDS) {
    const places = [...DETECTORS[kind](text, traits)].sort((a, b) => a.start - b.start || b.end - a.end);
    for (const { start, end } of places) {
      if (start < end && !found.some((other) => start < other.end && other.start < end))
        found.push({ kind, start, end });
    }
  }
  return found.sort((a, b) => a.start - b.start);
}
