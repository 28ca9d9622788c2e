/** @file Examples: what a row of a data file becomes, whatever form the row has. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { brokenLineError, readJsonLines } from '../jsonl.ts';
import type { BrokenLine } from '../jsonl.ts';
import { splitDialogues } from './dialogues.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A conversation whose assistant turns are all supervised: an optional system message, then user and assistant in turn. */
export interface Example {
  readonly kind: 'conversation';
  readonly messages: readonly Message[];
  /** Keyed hash of the person it is about, where the rows say it. */
  readonly person?: string;
}

/** Two answers to one conversation, the first preferred to the second. The prompt ends with a user's message. */
export interface PreferenceExample {
  readonly kind: 'preference';
  readonly prompt: readonly Message[];
  readonly chosen: string;
  readonly rejected: string;
  /** As of an {@link Example}. */
  readonly person?: string;
}

const text = z.string().refine((value) => value.trim() !== '', 'is empty');
const message = z.object({ role: z.enum(['system', 'user', 'assistant']), content: text });

/** An optional system message, then user and assistant by turns, up to a turn of `last`. */
function conversationUpTo(last: 'user' | 'assistant') {
  return z.array(message).superRefine((messages, context) => {
    const turns = messages[0]?.role === 'system' ? messages.slice(1) : messages;
    const alternate = turns.every((turn, index) => turn.role === (index % 2 === 0 ? 'user' : 'assistant'));
    if (!alternate) {
      context.addIssue({ code: 'custom', message: 'does not alternate between user and assistant' });
    } else if (turns.at(-1)?.role !== last) {
      context.addIssue({ code: 'custom', message: `does not end with a message of the ${last}` });
    }
  });
}

const forms = {
  instruction: z.object({ instruction: text, input: z.string().optional(), response: text }),
  question: z.object({ question: text, answer: text }),
  messages: z.object({ messages: conversationUpTo('assistant') }),
  dialogues: z.object({ chosen: text, rejected: text }),
  preference: z.object({
    prompt: z.union([text, conversationUpTo('user')]),
    chosen: text,
    rejected: text,
  }),
};

/**
 * Turns one row into an example. Accepted are `{instruction, input?, response}`, `{question, answer}`,
 * `{messages}`, `{prompt, chosen, rejected}` and `{chosen, rejected}` of whole dialogues as in hh-rlhf; other fields
 * of the row are ignored. A filled `input` follows the instruction after a blank, as in OpenFedLLM.
 *
 * @throws TributaryError `data.broken-line`, naming the field
 */
export function parseRow(row: Readonly<Record<string, unknown>>): Example | PreferenceExample {
  if ('messages' in row) return { kind: 'conversation', messages: parseForm(forms.messages, row).messages };
  if ('chosen' in row || 'rejected' in row) {
    const { prompt, chosen, rejected } = parseForm(
      forms.preference,
      'prompt' in row ? row : fromDialogues(row),
    );
    const messages: Message[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
    return { kind: 'preference', prompt: messages, chosen, rejected };
  }
  if ('instruction' in row) {
    const { instruction, input, response } = parseForm(forms.instruction, row);
    return singleTurn(input ? `${instruction} ${input}` : instruction, response);
  }
  if ('question' in row) {
    const { question, answer } = parseForm(forms.question, row);
    return singleTurn(question, answer);
  }
  throw new TributaryError(
    'data.broken-line',
    'A row has none of the fields instruction, question, messages or prompt.',
  );
}

/** The row with the prompt that its two dialogues share. */
function fromDialogues(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { chosen, rejected } = parseForm(forms.dialogues, row);
  const split = splitDialogues(chosen, rejected);
  if (split) return split;
  throw new TributaryError(
    'data.broken-line',
    'A row without a prompt does not hold two dialogues that differ in their last answer alone.',
  );
}

function singleTurn(request: string, response: string): Example {
  return {
    kind: 'conversation',
    messages: [
      { role: 'user', content: request },
      { role: 'assistant', content: response },
    ],
  };
}

function parseForm<Schema extends z.ZodType>(schema: Schema, row: unknown): z.output<Schema> {
  const result = schema.safeParse(row);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue.path.join('.') || 'row';
  const what = issue.code === 'custom' ? issue.message : `is missing or wrong (${issue.message})`;
  throw new TributaryError('data.broken-line', `The field "${field}" of a row ${what}.`);
}

/** What training on a file needs: conversations for `sft`, pairs for `dpo`. */
export interface ExampleKinds {
  readonly sft: Example;
  readonly dpo: PreferenceExample;
}

/**
 * Like {@link parseRow}, for one objective.
 *
 * @throws TributaryError `data.broken-line` also where the row is of the other kind
 */
export function parseRowFor<Objective extends keyof ExampleKinds>(
  objective: Objective,
  row: Readonly<Record<string, unknown>>,
): ExampleKinds[Objective] {
  const example = parseRow(row);
  if (!isFor(objective, example)) {
    const found = example.kind === 'preference' ? 'a preference pair' : 'a conversation';
    throw new TributaryError('data.broken-line', `A row is ${found}, which ${objective} cannot train on.`);
  }
  return example;
}

function isFor<Objective extends keyof ExampleKinds>(
  objective: Objective,
  example: Example | PreferenceExample,
): example is ExampleKinds[Objective] {
  return example.kind === (objective === 'sft' ? 'conversation' : 'preference');
}

/** The examples of one objective. @throws Error when one is of the other kind */
export function examplesFor<Objective extends keyof ExampleKinds>(
  objective: Objective,
  examples: readonly (Example | PreferenceExample)[],
): readonly ExampleKinds[Objective][] {
  return examples.map((example) => {
    if (!isFor(objective, example)) throw new Error(`an example is of another kind than ${objective} takes`);
    return example;
  });
}

export interface ReadOptions<Objective extends keyof ExampleKinds> {
  readonly objective: Objective;
  /** Leave broken lines out and count them instead of stopping at the first. */
  readonly skipBad?: boolean;
}

export interface ReadResult<Kind> {
  readonly examples: readonly Kind[];
  /** The lines left out, in the order of the file. */
  readonly skipped: readonly BrokenLine[];
}

/**
 * Reads a JSONL file line by line.
 *
 * @throws TributaryError `data.broken-line` and `data.row-too-long` (naming the line, unless `skipBad`),
 *   `data.empty` when no row is left, `file.not-found`
 */
export async function readJsonl<Objective extends keyof ExampleKinds>(
  path: string,
  { objective, skipBad = false }: ReadOptions<Objective>,
): Promise<ReadResult<ExampleKinds[Objective]>> {
  const examples: ExampleKinds[Objective][] = [];
  const skipped: BrokenLine[] = [];
  for await (const read of readJsonLines(path)) {
    const example = 'record' in read ? parseLine(objective, read.line, read.record) : read;
    if (!('problem' in example)) examples.push(example);
    else if (skipBad) skipped.push(example);
    else throw brokenLineError(path, example);
  }
  if (examples.length === 0) {
    const detail = skipped.length > 0 ? ` Of its lines ${skipped.length} were left out as broken.` : '';
    throw new TributaryError('data.empty', `${path} holds no rows to train on.${detail}`);
  }
  return { examples, skipped };
}

function parseLine<Objective extends keyof ExampleKinds>(
  objective: Objective,
  line: number,
  record: Readonly<Record<string, unknown>>,
): ExampleKinds[Objective] | BrokenLine {
  try {
    return parseRowFor(objective, record);
  } catch (error) {
    if (!(error instanceof TributaryError)) throw error;
    return { line, code: 'data.broken-line', problem: `does not fit: ${error.message.replace(/\.$/, '')}` };
  }
}
