/** @file What public datasets are about. */

export const PUBLIC_TOPICS = [
  'medicine',
  'general',
  'finance',
  'code',
  'mathematics',
  'preferences',
  'safety',
] as const;
