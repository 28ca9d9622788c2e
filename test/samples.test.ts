/** @file The sample institutions keep what their README promises: counts, form, lengths, balance, no duplicates. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readPlan } from '../core/federation/plan.ts';

const folder = join(import.meta.dirname, '../resources/samples');
const clinics = ['clinic-north', 'clinic-river', 'clinic-harbour'];
const banks = ['bank-alder', 'bank-birch', 'bank-cedar'];

const clinicRow = z.strictObject({ question: z.string(), answer: z.string() });
const label = z.enum(['negative', 'neutral', 'positive']);
const bankRow = z.strictObject({
  instruction: z.literal('What is the sentiment of this headline? Answer negative, neutral or positive.'),
  input: z.string(),
  response: label,
});

const preferenceRow = z.strictObject({ prompt: z.string(), chosen: z.string(), rejected: z.string() });

/** Every row of a file; the file must be lines of printable ASCII, each ended by one newline. */
function readRows<Row>(schema: z.ZodType<Row>, path: string): Row[] {
  const text = readFileSync(join(folder, path), 'utf8');
  expect(text, path).toMatch(/^(?:[\x20-\x7e]+\n)+$/);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => schema.parse(JSON.parse(line)));
}

const clinicRows = clinics.flatMap((site) =>
  ['train', 'heldout'].flatMap((part) =>
    readRows(clinicRow, `clinics/${site}/${part}.jsonl`).map((row) => ({ ...row, site, part })),
  ),
);
const bankRows = [
  ...banks.flatMap((site) =>
    readRows(bankRow, `banks/${site}/train.jsonl`).map((row) => ({ ...row, site, part: 'train' })),
  ),
  ...readRows(bankRow, 'banks/heldout.jsonl').map((row) => ({ ...row, site: 'banks', part: 'heldout' })),
];

const pairs = [
  ...clinics.map((site) => ({ site, folder: `clinics/${site}` })),
  ...banks.map((site) => ({ site, folder: `banks/${site}` })),
].flatMap(({ site, folder: place }) =>
  (['preferences', 'preferences-heldout'] as const).flatMap((part) =>
    readRows(preferenceRow, `${place}/${part}.jsonl`).map((row) => ({ ...row, site, part })),
  ),
);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function countRows(rows: readonly { site: string; part: string }[], site: string, part: string): number {
  return rows.filter((row) => row.site === site && row.part === part).length;
}

const clinicStyle =
  /^In short, (?<fact>[^.]+)\. (?<action>(?:Call an ambulance|Tell us at once|Book a visit) if [^.]+)\. This note does not replace an examination\.$/;

/** The part of an answer that is not house style. */
function substance(answer: string): string {
  const { fact, action } = clinicStyle.exec(answer)?.groups ?? {};
  return `${fact} ${action?.replace(/^.* if /, '')}`;
}

function words(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9']+/g) ?? [];
}

/** The runs of `length` words in a text. */
function shingles(text: string, length: number): Set<string> {
  const all = words(text);
  return new Set(all.slice(length - 1).map((_, index) => all.slice(index, index + length).join(' ')));
}

/** Pairs of texts of which the one with fewer shingles shares at least `share` of them with the other. */
function nearDuplicates(texts: readonly string[], length: number, share: number): string[] {
  const sets = texts.map((text) => shingles(text, length));
  return sets.flatMap((one, index) =>
    sets.slice(0, index).flatMap((other, earlier) => {
      const common = [...one].filter((shingle) => other.has(shingle)).length;
      const near = common > 0 && common >= share * Math.min(one.size, other.size);
      return near ? [`${texts[earlier]} <> ${texts[index]}`] : [];
    }),
  );
}

test('the near-duplicate check finds a reworded sentence and leaves different ones alone', () => {
  const near = ['the tide lifts every boat in our harbour', 'the tide lifts every boat in the bay'];
  expect(nearDuplicates(near, 5, 0.25)).toHaveLength(1);
  expect(nearDuplicates([...near.slice(1), 'a boat in the bay waits for the tide'], 5, 0.25)).toEqual([]);
});

test('each clinic has enough training rows and exactly 20 held-out rows', () => {
  for (const site of clinics) {
    expect(countRows(clinicRows, site, 'train'), site).toBeGreaterThanOrEqual(64);
    expect(countRows(clinicRows, site, 'heldout'), site).toBe(20);
  }
});

test('each bank has enough training rows, and 90 rows are held out', () => {
  for (const site of banks) expect(countRows(bankRows, site, 'train'), site).toBeGreaterThanOrEqual(90);
  expect(countRows(bankRows, 'banks', 'heldout')).toBe(90);
});

test('questions and answers of the clinics keep the house style and its lengths', () => {
  for (const { question, answer } of clinicRows) {
    expect(question).toMatch(/\?$/);
    expect(words(question).length, question).toBeGreaterThanOrEqual(8);
    expect(words(question).length, question).toBeLessThanOrEqual(25);
    expect(answer).toMatch(clinicStyle);
    expect(words(answer).length, answer).toBeGreaterThanOrEqual(20);
    expect(words(answer).length, answer).toBeLessThanOrEqual(60);
  }
});

test('headlines are short and do not name their label', () => {
  for (const { input } of bankRows) {
    expect(words(input).length, input).toBeGreaterThanOrEqual(4);
    expect(words(input).length, input).toBeLessThanOrEqual(20);
    expect(input).not.toMatch(/negative|neutral|positive/i);
  }
});

test('labels are skewed at each bank, in its own direction, and balanced in the held-out rows', () => {
  const share = (site: string, wanted: z.infer<typeof label>): number => {
    const labels = bankRows.filter((row) => row.site === site).map((row) => row.response);
    return labels.filter((found) => found === wanted).length / labels.length;
  };
  const skew = { 'bank-alder': 'positive', 'bank-birch': 'negative', 'bank-cedar': 'neutral' } as const;
  for (const [site, mostly] of Object.entries(skew)) {
    for (const each of label.options) {
      const [low, high] = each === mostly ? [0.55, 0.65] : [0.1, 0.3];
      expect(share(site, each), `${site} ${each}`).toBeGreaterThan(low);
      expect(share(site, each), `${site} ${each}`).toBeLessThan(high);
    }
  }
  for (const each of label.options) expect(share('banks', each)).toBe(1 / 3);
});

test('each institution has 60 pairs to train on and 30 held out', () => {
  for (const site of [...clinics, ...banks]) {
    expect(countRows(pairs, site, 'preferences'), site).toBe(60);
    expect(countRows(pairs, site, 'preferences-heldout'), site).toBe(30);
  }
});

test('prompts and answers of pairs are short', () => {
  for (const { prompt, chosen, rejected } of pairs) {
    expect(words(prompt).length, prompt).toBeGreaterThanOrEqual(3);
    for (const text of [prompt, chosen, rejected]) expect(words(text).length, text).toBeLessThanOrEqual(60);
    for (const text of [chosen, rejected]) expect(words(text).length, text).toBeGreaterThanOrEqual(15);
  }
});

test('the length of an answer does not tell which one is chosen, at any institution', () => {
  for (const site of [...clinics, ...banks]) {
    const own = pairs.filter((pair) => pair.site === site);
    const differences = own.map(({ chosen, rejected }) => words(chosen).length - words(rejected).length);
    expect(Math.abs(mean(differences)), site).toBeLessThan(1.5);
    const longer = mean(differences.map((difference) => (difference > 0 ? 1 : 0)));
    expect(longer, site).toBeGreaterThan(0.4);
    expect(longer, site).toBeLessThan(0.6);
  }
});

test('no text occurs twice, held-out rows included', () => {
  const texts = [
    ...pairs.flatMap(({ prompt, chosen, rejected }) => [prompt, chosen, rejected]),
    ...clinicRows.flatMap((row) => [row.question, row.answer]),
    ...bankRows.map((row) => row.input),
  ];
  const plain = texts.map((text) => words(text).join(' '));
  expect(plain.filter((text, index) => plain.indexOf(text) < index)).toEqual([]);
});

test('no two prompts or answers of pairs are near-duplicates, held-out ones included', () => {
  expect(
    nearDuplicates(
      pairs.map(({ prompt }) => prompt),
      5,
      0.25,
    ),
  ).toEqual([]);
  const answers = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  expect(nearDuplicates(answers, 5, 0.15)).toEqual([]);
});

test('no two questions, answers or headlines are near-duplicates, held-out rows included', () => {
  const questions = clinicRows.map((row) => row.question);
  const answers = clinicRows.map((row) => substance(row.answer));
  const headlines = bankRows.map((row) => row.input);
  expect(nearDuplicates(questions, 5, 0.25)).toEqual([]);
  expect(nearDuplicates(answers, 5, 0.25)).toEqual([]);
  expect(nearDuplicates(headlines, 3, 0.4)).toEqual([]);
});

test('the README counts the rows as they are', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  const counts = (name: string): number[] => {
    const row = readme.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? '';
    return [...row.matchAll(/ (\d+) (?=\|)/g)].map((match) => Number(match[1]));
  };
  for (const site of clinics) {
    const expected = [countRows(clinicRows, site, 'train'), countRows(clinicRows, site, 'heldout')];
    expect(counts(`clinics/${site}`), site).toEqual(expected);
  }
  for (const site of banks) {
    expect(counts(`banks/${site}`), site).toEqual([countRows(bankRows, site, 'train')]);
    const labels = ['positive', 'neutral', 'negative'].map(
      (wanted) => bankRows.filter((row) => row.site === site && row.response === wanted).length,
    );
    expect(counts(site), site).toEqual(labels);
  }
});

test('the README gives the mean lengths of pairs as they are', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const [group, sites] of Object.entries({ clinics, banks })) {
    const own = pairs.filter(({ site }) => sites.includes(site));
    const means = (['prompt', 'chosen', 'rejected'] as const).map((field) =>
      mean(own.map((pair) => words(pair[field]).length)).toFixed(1),
    );
    expect(readme).toMatch(new RegExp(`^\\| ${group} +\\| +${means.join(' +\\| +')} +\\|$`, 'm'));
  }
});

test('the sample plans are plans', () => {
  for (const group of ['clinics', 'banks']) {
    for (const [name, objective] of [
      [group, 'sft'],
      [`${group}-preferences`, 'dpo'],
    ]) {
      const plan = readPlan(readFileSync(join(folder, `plans/${name}.json`), 'utf8'));
      expect(plan).toMatchObject({ name, objective });
    }
  }
  const simulation = readPlan(readFileSync(join(folder, 'plans/banks-simulation.json'), 'utf8'));
  expect(simulation).toMatchObject({ name: 'banks-simulation', federation: { minSites: 4 } });
});
