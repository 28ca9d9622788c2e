/**
 * @file How a mapping is written: the one shape for files, lineages, commands and windows. It imports zod alone, so that
 * the bridge's contract can use it.
 */

import { z } from 'zod';

const column = z.string().min(1);
const template = z.string().min(1);

export const mappingShape = z.discriminatedUnion('kind', [
  /** Columns under other names and nothing else; without names the records are rows already. */
  z.strictObject({ kind: z.literal('fields'), fields: z.record(z.string(), column) }),
  /** A request, what it is about where that lies in a column of its own, and the answer. */
  z.strictObject({
    kind: z.literal('instruction'),
    fields: z.strictObject({ instruction: column, input: column.optional(), response: column }),
  }),
  /** A list of messages, `{role, content}` or as ShareGPT has them, `{from, value}`. */
  z.strictObject({ kind: z.literal('chat'), fields: z.strictObject({ messages: column }) }),
  /** Two answers, texts or lists of messages that end with one; without a prompt, two whole dialogues. */
  z.strictObject({
    kind: z.literal('preference'),
    fields: z.strictObject({ prompt: column.optional(), chosen: column, rejected: column }),
  }),
  /** A text and its label, asked for by a template, such as "Which intent? {text}". */
  z.strictObject({
    kind: z.literal('label'),
    fields: z.strictObject({ text: column, label: column }),
    template: z.strictObject({ prompt: template }).optional(),
    /** By the file's value, the word to answer with, such as `{"0": "negative"}`. */
    names: z.record(z.string(), z.string().min(1)).optional(),
  }),
  /** Templates over columns, such as "Summarise: {findings}" and "{impression}". */
  z.strictObject({
    kind: z.literal('text-template'),
    template: z.strictObject({ prompt: template, response: template }),
  }),
]);
export type Mapping = z.infer<typeof mappingShape>;
