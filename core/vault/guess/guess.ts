/** @file Guesses how the columns of a file are mapped, and says why. */

import { columnsOf } from '../mapping.ts';
import type { Mapping } from '../mapping-shape.ts';
import { isObject } from '../readers/source.ts';
import type { SourceRow } from '../readers/source.ts';
import { textOf } from '../values.ts';
import { describeColumns } from './columns.ts';
import type { Column } from './columns.ts';
import { bestFor, fitOfName, named, SUMMARIES } from './names.ts';
import { findPreset } from './presets.ts';

export interface GuessedMapping {
  readonly mapping: Mapping;
  /** One sentence for people: why this. */
  readonly reason: string;
  /** The known dataset it looks like. */
  readonly preset?: string;
}

export interface Guesses {
  /** The likeliest first; empty where nothing fits. */
  readonly mappings: readonly GuessedMapping[];
  /** Columns that may tell persons and documents apart. */
  readonly person: string | null;
  readonly document: string | null;
}

/** Answers of this many characters at most can be labels. */
const LABEL_CHARACTERS = 40;
/** Distinct labels per row of the sample at most. */
const LABEL_SHARE = 0.5;

/** All mappings that fit a sample of rows. */
export function guessMappings(rows: readonly SourceRow[]): Guesses {
  const all = describeColumns(rows);
  const columns = all.filter(({ kind }) => kind !== 'empty');
  const preset = findPreset(
    all.map(({ name }) => name),
    rows,
  );
  const found: GuessedMapping[] = [];
  if (preset !== null) {
    const reason = `The columns are named as in the public dataset ${preset.dataset}.`;
    found.push({ mapping: preset.mapping, reason, preset: preset.dataset });
  }
  found.push(
    ...guessPreference(columns, rows),
    ...guessChat(columns),
    ...guessChoices(columns, rows),
    ...guessSummary(columns),
    ...guessInstruction(columns),
    ...guessLabel(columns, rows),
    ...guessByLength(columns),
  );
  const distinct = new Map<string, GuessedMapping>();
  for (const guess of found) {
    const key = JSON.stringify(guess.mapping);
    if (!distinct.has(key)) distinct.set(key, guess);
  }
  const used = new Set(found[0] === undefined ? [] : columnsOf(found[0].mapping));
  const free = columns.filter(({ name }) => !used.has(name));
  return {
    mappings: [...distinct.values()],
    person: bestFor(free, 'person')?.name ?? null,
    document: bestFor(free, 'document')?.name ?? null,
  };
}

const quote = (name: string): string => `“${name}”`;
const isText = ({ kind }: Column): boolean => kind === 'text' || kind === 'number' || kind === 'boolean';

function guessPreference(columns: readonly Column[], rows: readonly SourceRow[]): GuessedMapping[] {
  const chosen = bestFor(columns, 'chosen');
  const rejected = bestFor(columns, 'rejected');
  if (chosen === null || rejected === null) return [];
  const pair = { chosen: chosen.name, rejected: rejected.name };
  const both = `${quote(chosen.name)} and ${quote(rejected.name)}`;
  const others = columns.filter((column) => column !== chosen && column !== rejected);
  const prompt = bestFor(others, 'instruction') ?? bestFor(others, 'messages');
  if (prompt !== null) {
    const reason = `${both} are two answers to ${quote(prompt.name)}.`;
    return [{ mapping: { kind: 'preference', fields: { prompt: prompt.name, ...pair } }, reason }];
  }
  const dialogues = rows.every(
    (row) => typeof row[chosen.name] === 'string' && /\n\nHuman:/.test(textOf(row[chosen.name])),
  );
  const reason = dialogues
    ? `${both} are dialogues ("Human: … Assistant: …") that differ in their last answer.`
    : `${both} end with two answers to the same messages.`;
  return dialogues || chosen.kind === 'messages'
    ? [{ mapping: { kind: 'preference', fields: pair }, reason }]
    : [];
}

function guessChat(columns: readonly Column[]): GuessedMapping[] {
  const lists = columns.filter(({ kind }) => kind === 'messages');
  const ranked = lists
    .filter(({ name }) => fitOfName(name, 'chosen') === 0 && fitOfName(name, 'rejected') === 0)
    .filter(({ name }) => name !== 'prompt' || lists.length === 1)
    .sort((a, b) => fitOfName(b.name, 'messages') - fitOfName(a.name, 'messages'));
  return ranked.map(({ name }) => ({
    mapping: { kind: 'chat', fields: { messages: name } },
    reason: `${quote(name)} holds conversations, message by message.`,
  }));
}

/** Questions with options in an object: {"A": …, "B": …}. */
function guessChoices(columns: readonly Column[], rows: readonly SourceRow[]): GuessedMapping[] {
  const options = columns.find(({ name, kind }) => kind === 'object' && /^(options|choices)$/i.test(name));
  const question = bestFor(columns.filter(isText), 'instruction');
  if (options === undefined || question === null) return [];
  const first = rows[0]?.[options.name];
  const letters = isObject(first)
    ? Object.keys(first).filter((key) =>
        rows.every((row) => isObject(row[options.name]) && Object.hasOwn(row[options.name] as object, key)),
      )
    : [];
  const index = columns.find(({ name }) => /^(answer_idx|answer_index|answerKey|correct)$/i.test(name));
  const answer = bestFor(
    columns.filter((column) => isText(column) && column !== index),
    'response',
  );
  if (letters.length < 2 || answer === null) return [];
  const lines = letters.map((letter) => `${letter}. {${options.name}.${letter}}`).join('\n');
  const response = index === undefined ? `{${answer.name}}` : `{${index.name}}. {${answer.name}}`;
  return [
    {
      mapping: { kind: 'text-template', template: { prompt: `{${question.name}}\n${lines}`, response } },
      reason: `${quote(question.name)} is asked with the options of ${quote(options.name)} and answered by ${quote(answer.name)}.`,
    },
  ];
}

function guessSummary(columns: readonly Column[]): GuessedMapping[] {
  return SUMMARIES.flatMap(({ from, to, ask }) => {
    const source = named(columns, from);
    const target = named(columns, to);
    if (source === null || target === null) return [];
    return [
      {
        mapping: {
          kind: 'text-template',
          template: { prompt: ask.replace(`{${from}}`, `{${source.name}}`), response: `{${target.name}}` },
        },
        reason: `${quote(target.name)} sums up ${quote(source.name)}, and no column asks for it.`,
      },
    ];
  });
}

function guessInstruction(columns: readonly Column[]): GuessedMapping[] {
  const texts = columns.filter(isText);
  const instruction = bestFor(texts, 'instruction');
  const others = texts.filter((column) => column !== instruction);
  const answers = others
    .filter(({ name }) => fitOfName(name, 'response') > 0)
    .sort((a, b) => fitOfName(b.name, 'response') - fitOfName(a.name, 'response'));
  const withoutAnswers = others.filter((column) => !answers.includes(column));
  const input = bestFor(withoutAnswers, 'input');
  const asked = instruction ?? input ?? bestFor(withoutAnswers, 'text');
  if (asked === null) return [];
  return answers.map((answer) => {
    const about = instruction !== null && input !== null ? input : null;
    const context = about === null ? '' : `, with ${quote(about.name)} after it,`;
    return {
      mapping: {
        kind: 'instruction',
        fields: {
          instruction: asked.name,
          ...(about !== null && { input: about.name }),
          response: answer.name,
        },
      },
      reason: `${quote(asked.name)}${context} is what is asked and ${quote(answer.name)} the answer, by their names.`,
    };
  });
}

function guessLabel(columns: readonly Column[], rows: readonly SourceRow[]): GuessedMapping[] {
  const texts = columns.filter(isText);
  const text = bestFor(texts, 'text') ?? bestFor(texts, 'input') ?? bestFor(texts, 'instruction');
  if (text === null) return [];
  const isLabel = ({ distinct, meanLength }: Column): boolean =>
    meanLength <= LABEL_CHARACTERS && (distinct <= 2 || distinct <= rows.length * LABEL_SHARE);
  const others = texts.filter((column) => column !== text);
  const label = bestFor(others, 'label');
  if (label === null || !isLabel(label)) return [];
  return [
    {
      mapping: { kind: 'label', fields: { text: text.name, label: label.name } },
      reason: `${quote(label.name)} holds ${label.distinct} short values, as labels of ${quote(text.name)} do.`,
    },
  ];
}

/** Two columns of text whose names say nothing: the first is asked, the second the answer. */
function guessByLength(columns: readonly Column[]): GuessedMapping[] {
  const texts = columns.filter(({ kind, meanLength }) => kind === 'text' && meanLength > 0);
  if (texts.length !== 2) return [];
  const [one, two] = texts;
  return [
    {
      mapping: { kind: 'instruction', fields: { instruction: one.name, response: two.name } },
      reason: `${quote(one.name)} and ${quote(two.name)} are the only columns of text; which is the answer is not certain.`,
    },
  ];
}
