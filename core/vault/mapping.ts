/** @file Mappings: how a record of a file becomes a row that a site can train on. A mapping is a value, never code. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { applyFieldMap } from './field-map.ts';
import { isObject } from './readers/source.ts';
import type { SourceRow } from './readers/source.ts';
import { fillTemplate, placeholdersOf } from './template.ts';
import { textOf, valueOf } from './values.ts';

const column = z.string().min(1);
const template = z.string().min(1);

export const mappingShape = z.discriminatedUnion('kind', [
  /** Columns under other names and nothing else; without names the records are rows already. */
  z.strictObject({ kind: z.literal('fields'), fields: z.record(z.string(), column) }),
  /** A request, what it is about where that lies in a column of its own, and the answer. */
  z.strictObject({
    kind: z.literal('instruction'),
    instruction: column,
    input: column.optional(),
    response: column,
  }),
  /** A list of messages, `{role, content}` or as ShareGPT has them, `{from, value}`. */
  z.strictObject({ kind: z.literal('chat'), messages: column }),
  /** Two answers, texts or lists of messages that end with one; without a prompt, two whole dialogues. */
  z.strictObject({
    kind: z.literal('preference'),
    prompt: column.optional(),
    chosen: column,
    rejected: column,
  }),
  /** A text and its label, asked for by a template, such as "Which intent? {text}". */
  z.strictObject({
    kind: z.literal('label'),
    text: column,
    label: column,
    instruction: template.optional(),
    /** By the file's value, the word to answer with, such as `{"0": "negative"}`. */
    names: z.record(z.string(), z.string().min(1)).optional(),
  }),
  /** Templates over columns, such as "Summarise: {findings}" and "{impression}". */
  z.strictObject({ kind: z.literal('text-template'), instruction: template, response: template }),
]);
export type Mapping = z.infer<typeof mappingShape>;

/** A row as it is stored: plain fields, whose meaning the site knows and the vault does not. */
export type VaultRow = Readonly<Record<string, unknown>>;

export type MappedRecord =
  | { readonly row: VaultRow }
  /** Completes "Line 3 of rows.jsonl …"; `empty` where a field is there and holds nothing. */
  | { readonly problem: string; readonly empty: boolean };

/** @throws TributaryError `vault.bad-map` for a value that is no mapping */
export function parseMapping(value: unknown): Mapping {
  const parsed = mappingShape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new TributaryError('vault.bad-map', `The mapping is wrong: ${z.prettifyError(parsed.error)}`);
}

/** The columns that a mapping reads. */
export function columnsOf(mapping: Mapping): string[] {
  switch (mapping.kind) {
    case 'fields':
      return Object.values(mapping.fields);
    case 'instruction':
      return [mapping.instruction, ...optional(mapping.input), mapping.response];
    case 'chat':
      return [mapping.messages];
    case 'preference':
      return [...optional(mapping.prompt), mapping.chosen, mapping.rejected];
    case 'label':
      return [...new Set([mapping.text, mapping.label, ...placeholdersOf(mapping.instruction ?? '')])];
    case 'text-template':
      return [...new Set([...placeholdersOf(mapping.instruction), ...placeholdersOf(mapping.response)])];
  }
}

const optional = (name: string | undefined): string[] => (name === undefined ? [] : [name]);

/**
 * Whether a mapping can be used with these columns: each is there, and none is both what is asked and what is answered.
 * @throws TributaryError `vault.bad-map`
 */
export function checkMapping(mapping: Mapping, columns: readonly string[]): void {
  const used = columnsOf(mapping);
  const lacking = used.find((name) => !columns.includes(name) && !columns.includes(name.split('.')[0]));
  if (lacking !== undefined) {
    const known = columns.map((name) => `“${name}”`).join(', ');
    throw new TributaryError('vault.bad-map', `The file has no column “${lacking}”, only ${known}.`);
  }
  const roles =
    mapping.kind === 'label' || mapping.kind === 'text-template' || mapping.kind === 'fields' ? [] : used;
  const twice = roles.find((name, at) => roles.indexOf(name) < at);
  if (twice !== undefined)
    throw new TributaryError('vault.bad-map', `The column “${twice}” is mapped to two fields.`);
  if (mapping.kind === 'label' && mapping.text === mapping.label)
    throw new TributaryError('vault.bad-map', `The column “${mapping.text}” is mapped to two fields.`);
}

/** The row that a record becomes, or why it becomes none. */
export function applyMapping(mapping: Mapping, record: SourceRow): MappedRecord {
  switch (mapping.kind) {
    case 'fields': {
      const mapped = applyFieldMap(record, mapping.fields);
      return 'missing' in mapped ? missing(mapped.missing) : mapped;
    }
    case 'instruction':
      return fill(record, {
        instruction: mapping.instruction,
        ...(mapping.input !== undefined && { input: mapping.input }),
        response: mapping.response,
      });
    case 'chat': {
      const value = valueOf(record, mapping.messages);
      if (value === undefined) return missing(mapping.messages);
      const messages = toMessages(value);
      if (messages === null) return { problem: `has no messages in "${mapping.messages}"`, empty: false };
      if (messages.length === 0) return { problem: `has no answer in "${mapping.messages}"`, empty: true };
      return { row: { messages } };
    }
    case 'preference':
      return toPreference(mapping, record);
    case 'label': {
      const label = textOf(valueOf(record, mapping.label));
      const named = mapping.names?.[label] ?? label;
      const asked =
        mapping.instruction === undefined
          ? { text: textOf(valueOf(record, mapping.text)), missing: undefined }
          : fillTemplate(mapping.instruction, (name) => valueOf(record, name));
      return finish(record, [mapping.text, mapping.label], { instruction: asked.text, response: named });
    }
    case 'text-template': {
      const instruction = fillTemplate(mapping.instruction, (name) => valueOf(record, name));
      const response = fillTemplate(mapping.response, (name) => valueOf(record, name));
      const lacking = instruction.missing ?? response.missing;
      if (lacking !== undefined) return missing(lacking);
      if (instruction.filled === 0)
        return emptyField(placeholdersOf(mapping.instruction)[0] ?? 'instruction');
      if (response.filled === 0) return emptyField(placeholdersOf(mapping.response)[0] ?? 'response');
      return { row: { instruction: instruction.text, response: response.text } };
    }
  }
}

/** Text fields from columns; `input` may be empty and is left out then. */
function fill(record: SourceRow, fields: Readonly<Record<string, string>>): MappedRecord {
  const row: Record<string, unknown> = {};
  for (const [field, name] of Object.entries(fields)) {
    const value = valueOf(record, name);
    if (value === undefined && field !== 'input') return missing(name);
    const text = textOf(value);
    if (text.trim() !== '') row[field] = text;
    else if (field !== 'input') return emptyField(name);
  }
  return { row };
}

function finish(record: SourceRow, needed: readonly string[], row: VaultRow): MappedRecord {
  for (const name of needed) {
    const value = valueOf(record, name);
    if (value === undefined) return missing(name);
    if (textOf(value).trim() === '') return emptyField(name);
  }
  return { row };
}

function toPreference(
  { prompt, chosen, rejected }: Extract<Mapping, { kind: 'preference' }>,
  record: SourceRow,
): MappedRecord {
  const lacking = [...optional(prompt), chosen, rejected].find((name) => valueOf(record, name) === undefined);
  if (lacking !== undefined) return missing(lacking);
  const answers = [toAnswer(valueOf(record, chosen)), toAnswer(valueOf(record, rejected))];
  for (const [at, { text }] of answers.entries())
    if (text.trim() === '') return emptyField(at === 0 ? chosen : rejected);
  const row = { chosen: answers[0].text, rejected: answers[1].text };
  const given = prompt === undefined ? answers[0].before : valueOf(record, prompt);
  const asked = Array.isArray(given) ? toTurns(given) : given === undefined ? undefined : textOf(given);
  if (prompt !== undefined && (asked === null || asked === undefined || asked.length === 0))
    return emptyField(prompt);
  return { row: asked === undefined || asked === null ? row : { prompt: asked, ...row } };
}

/** An answer as text, or as the last message of a list, with what comes before it. */
function toAnswer(value: unknown): { readonly text: string; readonly before?: unknown[] } {
  if (!Array.isArray(value)) return { text: textOf(value) };
  const turns = toTurns(value) ?? [];
  const last = turns.at(-1);
  if (last?.role !== 'assistant') return { text: '' };
  return { text: last.content, ...(turns.length > 1 && { before: turns.slice(0, -1) }) };
}

interface Turn {
  readonly role: string;
  readonly content: string;
}

const ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  user: 'user',
  prompter: 'user',
  gpt: 'assistant',
  bot: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
  assistant: 'assistant',
  system: 'system',
};

/** Messages with the roles that training knows, or null where the list holds something else. */
function toTurns(list: readonly unknown[]): Turn[] | null {
  const turns: Turn[] = [];
  for (const item of list) {
    if (!isObject(item)) return null;
    const speaker = item.role ?? item.from;
    const content = item.content ?? item.value ?? item.text;
    if (typeof speaker !== 'string' || typeof content !== 'string') return null;
    turns.push({ role: ROLES[speaker.toLowerCase()] ?? speaker, content });
  }
  return turns;
}

/** Turns up to the last answer: what a user says after it is answered by nobody. */
function toMessages(value: unknown): Turn[] | null {
  const list = typeof value === 'string' ? parseList(value) : value;
  const turns = Array.isArray(list) ? toTurns(list) : null;
  if (turns === null) return null;
  return turns.slice(0, turns.findLastIndex(({ role }) => role === 'assistant') + 1);
}

/** Tables hold lists as JSON text. */
function parseList(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function missing(name: string): MappedRecord {
  return { problem: `has no field "${name}"`, empty: false };
}

function emptyField(name: string): MappedRecord {
  return { problem: `has nothing in "${name}"`, empty: true };
}
