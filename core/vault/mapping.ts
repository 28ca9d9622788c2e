/** @file Mappings: how a record of a file becomes a row that a site can train on. A mapping is a value, never code. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { applyFieldMap } from './field-map.ts';
import { mappingShape } from './mapping-shape.ts';
import type { Mapping } from './mapping-shape.ts';
import { isObject } from './readers/source.ts';
import type { SourceRow } from './readers/source.ts';
import { fillTemplate, placeholdersOf } from './template.ts';
import { textOf, valueOf } from './values.ts';

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
  if (mapping.kind === 'text-template') {
    const { prompt, response } = mapping.template;
    return [...new Set([...placeholdersOf(prompt), ...placeholdersOf(response)])];
  }
  const named = Object.values(mapping.fields).filter((name) => name !== undefined);
  const asked = mapping.kind === 'label' ? placeholdersOf(mapping.template?.prompt ?? '') : [];
  return [...named, ...asked.filter((name) => !named.includes(name))];
}

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
  const twice = used.find((name, at) => used.indexOf(name) < at);
  if (twice !== undefined && mapping.kind !== 'fields')
    throw new TributaryError('vault.bad-map', `The column “${twice}” is mapped to two fields.`);
}

/** The row that a record becomes, or why it becomes none. */
export function applyMapping(mapping: Mapping, record: SourceRow): MappedRecord {
  switch (mapping.kind) {
    case 'fields': {
      const mapped = applyFieldMap(record, mapping.fields);
      return 'missing' in mapped ? missing(mapped.missing) : mapped;
    }
    case 'instruction':
      return fill(record, mapping.fields);
    case 'chat':
      return toConversation(mapping.fields.messages, record);
    case 'preference':
      return toPreference(mapping.fields, record);
    case 'label':
      return toLabelled(mapping, record);
    case 'text-template':
      return fillTemplates(mapping.template, record);
  }
}

/** Text fields from columns; `input` may be empty and is left out then. */
function fill(record: SourceRow, fields: Readonly<Record<string, string | undefined>>): MappedRecord {
  const row: Record<string, unknown> = {};
  for (const [field, name] of Object.entries(fields)) {
    if (name === undefined) continue;
    const value = valueOf(record, name);
    if (value === undefined && field !== 'input') return missing(name);
    const text = textOf(value);
    if (text.trim() !== '') row[field] = text;
    else if (field !== 'input') return emptyField(name);
  }
  return { row };
}

function toConversation(name: string, record: SourceRow): MappedRecord {
  const value = valueOf(record, name);
  if (value === undefined) return missing(name);
  const messages = toMessages(value);
  if (messages === null) return { problem: `has no messages in "${name}"`, empty: false };
  if (messages.length === 0) return { problem: `has no answer in "${name}"`, empty: true };
  return { row: { messages } };
}

function toLabelled(
  { fields: { text, label }, template: asking, names }: Extract<Mapping, { kind: 'label' }>,
  record: SourceRow,
): MappedRecord {
  for (const name of [text, label]) {
    const value = valueOf(record, name);
    if (value === undefined) return missing(name);
    if (textOf(value).trim() === '') return emptyField(name);
  }
  const asked = fillTemplate(asking?.prompt ?? `{${text}}`, (name) => valueOf(record, name));
  if (asked.missing !== undefined) return missing(asked.missing);
  const found = textOf(valueOf(record, label));
  return { row: { instruction: asked.text, response: names?.[found] ?? found } };
}

function fillTemplates(
  template: { readonly prompt: string; readonly response: string },
  record: SourceRow,
): MappedRecord {
  const prompt = fillTemplate(template.prompt, (name) => valueOf(record, name));
  const response = fillTemplate(template.response, (name) => valueOf(record, name));
  const lacking = prompt.missing ?? response.missing;
  if (lacking !== undefined) return missing(lacking);
  if (prompt.filled === 0) return emptyField(placeholdersOf(template.prompt)[0]);
  if (response.filled === 0) return emptyField(placeholdersOf(template.response)[0]);
  return { row: { instruction: prompt.text, response: response.text } };
}

function toPreference(
  { prompt, chosen, rejected }: Extract<Mapping, { kind: 'preference' }>['fields'],
  record: SourceRow,
): MappedRecord {
  const lacking = [prompt, chosen, rejected].find(
    (name) => name !== undefined && valueOf(record, name) === undefined,
  );
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
