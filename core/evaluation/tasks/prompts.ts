/** @file From a task's row to what the model reads: texts with fields filled in, after solved examples. */

import type { Message } from '../../training/examples.ts';
import type { AnswerQuestion } from '../../training/requests.ts';
import type { Row, TaskRows } from './rows.ts';
import type { AskedTask } from './schema.ts';

/** What a row says beside its fields, such as the list of its options. */
export type Extras = Readonly<Record<string, string>>;

/** A row as it is asked: its own text, and the answer to show where it serves as an example. */
export interface Asked {
  readonly group: string;
  readonly prompt: string;
  readonly answer: string;
}

const PLACEHOLDER = /\{([A-Za-z_][\w.]*)\}/g;

/** The text with fields in the place of their names; null when the row lacks one. */
export function fill(text: string, { group, fields }: Row, extras: Extras = {}): string | null {
  let complete = true;
  const filled = text.replaceAll(PLACEHOLDER, (_, name: string) => {
    const value = name === 'group' ? group : (extras[name] ?? textOf(fieldOf(fields, name)));
    complete &&= value !== null;
    return value ?? '';
  });
  return complete ? filled : null;
}

/** A field by its name, or by the names on the way to it with dots between them. */
export function fieldOf(fields: Readonly<Record<string, unknown>>, name: string): unknown {
  let found: unknown = fields;
  for (const part of name.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = Object.entries(found).find(([key]) => key === part)?.[1];
  }
  return found;
}

/** What a field reads like; null where it holds no text, number or truth value, or only white space. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/**
 * A question after its group's examples. In a template each example is a turn and its answer; in plain text they
 * stand one after the other, and an answer continues its prompt after a blank.
 * @param solve makes an example of a row; null when the row is none
 */
export function promptMaker(
  task: AskedTask,
  { shots }: TaskRows,
  solve: (row: Row) => Asked | null,
): (asked: Asked, row: Row) => AnswerQuestion['prompt'] {
  const examples = new Map(
    [...shots].map(([group, rows]) => [group, rows.flatMap((row) => solve(row) ?? [])] as const),
  );
  return ({ prompt, group }, row) => {
    const before = fill(task.preamble, row) ?? task.preamble;
    const shown = examples.get(group) ?? [];
    if (task.template === 'none') {
      const parts = shown.map((example) => `${example.prompt} ${example.answer}${task.separator}`);
      return before + parts.join('') + prompt;
    }
    const turns = shown.flatMap((example): Message[] => [
      { role: 'user', content: example.prompt },
      { role: 'assistant', content: example.answer },
    ]);
    const [first, ...rest] = [...turns, { role: 'user' as const, content: prompt }];
    return [{ ...first, content: before + first.content }, ...rest];
  };
}

/** An answer as it continues a prompt. */
export function continued(task: AskedTask, answer: string): string {
  return task.template === 'none' ? ` ${answer}` : answer;
}
