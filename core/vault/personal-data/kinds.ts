/** @file The kinds of personal data that are looked for, and what may be done about each. */

export const PERSONAL_KINDS = [
  'name',
  'date',
  'phone',
  'email',
  'record-number',
  'card-number',
  'address',
] as const;
export type PersonalKind = (typeof PERSONAL_KINDS)[number];

/** Leave it, put `[name]` in its place, or leave the row out. */
export const PERSONAL_CHOICES = ['keep', 'mask', 'exclude'] as const;
export type PersonalChoice = (typeof PERSONAL_CHOICES)[number];

/** What a person has chosen; kinds that are not named are kept. */
export type PersonalChoices = Readonly<Partial<Record<PersonalKind, PersonalChoice>>>;
