/** @file What the values of a column look like. `messages` are conversations, message by message. */

export const COLUMN_KINDS = ['text', 'number', 'boolean', 'messages', 'list', 'object', 'empty'] as const;
export type ColumnKind = (typeof COLUMN_KINDS)[number];
