/** @file The kinds of personal data that are looked for, and what may be done with each. */

/** The surer a kind is told by its form, the earlier it comes: where two would overlap, the earlier one counts. */
export const PERSONAL_KINDS = [
  'email',
  'iban',
  'card-number',
  'national-id',
  'record-number',
  'date',
  'phone',
  'address',
  'name',
] as const;
export type PersonalKind = (typeof PERSONAL_KINDS)[number];

/** Leave it, replace it by its kind, or leave out the rows that hold it. */
export const PERSONAL_CHOICES = ['keep', 'mask', 'exclude'] as const;
export type PersonalChoice = (typeof PERSONAL_CHOICES)[number];

/** What takes the place of a masked finding, such as `[CARD NUMBER]`. */
export function placeholderOf(kind: PersonalKind): string {
  return `[${kind.replace('-', ' ').toUpperCase()}]`;
}
