/** @file `tributary site data`: the private datasets of a site, from the file to the withdrawal. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../../core/errors.ts';
import { parseFieldMap } from '../../../../core/vault/field-map.ts';
import { parseMapping } from '../../../../core/vault/mapping.ts';
import { EXPORT_FORMATS } from '../../../../core/vault/export.ts';
import { PERSONAL_CHOICES, PERSONAL_KINDS } from '../../../../core/vault/personal/kinds.ts';
import { personalChoicesShape } from '../../../../core/vault/personal/treatment.ts';
import { createNetwork } from '../../../../core/network/network.ts';
import { publicDataset, PUBLIC_DATASETS, publicFolder } from '../../../../core/vault/public/catalogue.ts';
import { ENCODINGS } from '../../../../core/vault/readers/source.ts';
import { textOf } from '../../../../core/vault/values.ts';
import { askSite } from '../../../../core/site/ask.ts';
import { formatBytes } from '../../../../core/sizes.ts';
import { runs, wholeNumber } from '../../command.ts';
import { fetchDataWithProgress } from '../../fetching.ts';
import { formatTable } from '../../format.ts';
import type { Output } from '../../output.ts';
import { askingSite as at, folder } from './folder.ts';

export function register(command: (name: string, description: string) => Command): void {
  command('inspect', 'what a file holds and how it would be read; nothing is stored')
    .argument('<file>')
    .option('--encoding <name>', `one of ${ENCODINGS.join(', ')}; recognised without it`)
    .action(inspect);
  command('import', 'import CSV, TSV, JSON, JSON Lines or Parquet as a dataset: all of it or nothing')
    .argument('<file>')
    .requiredOption('--as <dataset>', 'name of the new dataset')
    .option(
      '--map <fields>',
      'such as instruction=question,response=answer or prompt=…,chosen=…,rejected=…; guessed without it',
    )
    .option('--mapping <file>', 'JSON file with a mapping, as inspect shows them')
    .option('--encoding <name>', `one of ${ENCODINGS.join(', ')}; recognised without it`)
    .option(
      '--person <column>',
      'says whose row it is; a keyed hash of it is kept, and a person is never split',
    )
    .option('--document <column>', 'says which document a row is of; a document is never split')
    .option('--split <shares>', 'of rows kept back, such as validation=0.1,test=0.1')
    .option(
      '--personal <choices>',
      `such as name=mask,date=keep: ${PERSONAL_CHOICES.join(', ')} for ${PERSONAL_KINDS.join(', ')}`,
    )
    .option('--without-duplicates', 'leave out rows that say the same as one before')
    .option('--new-version', 'become the next version of a dataset of this name')
    .option('--skip-bad', 'leave broken rows out and count them')
    .action(importFile);
  command('list', 'the datasets').action(list);
  command('fetch', 'bring a public dataset to this machine and check it; without a name, list them')
    .argument('[name]')
    .option('--as <dataset>', 'import it under this name, read as its catalogue says')
    .action(fetchPublic);
  const named = (name: string, description: string): Command =>
    command(name, description).argument('<dataset>', 'its name; name@2 is its second version');
  named('preview', 'three examples as a model sees them, with what is trained on between » and «')
    .option('--model <model>', 'id in the catalogue or path; the bundled one without it')
    .option('--max-length <tokens>', 'cut examples to this length')
    .action(preview);
  named('screen', 'personal data by kind, found by form and check digits')
    .option('--rows <number>', 'rows to look at', '2000')
    .action(screen);
  named('rows', 'rows of a dataset')
    .option('--offset <number>', 'rows to pass over', '0')
    .option('--limit <number>', 'rows to show', '20')
    .action(rows);
  named('search', 'rows that hold a text')
    .argument('<text>')
    .option('--limit <number>', 'hits after which to stop', '20')
    .action(search);
  named('export', 'write the rows as a file for other programs')
    .requiredOption('--out <file>', 'file to write')
    .option('--format <name>', EXPORT_FORMATS.join(' or '), 'jsonl')
    .action(exportRows);
  named('withdraw', 'delete a dataset; says what that does, and does it with --yes')
    .option('--yes', 'do it')
    .action(withdraw);
}

const encoding = z.enum(ENCODINGS).optional();
const dataset = folder.extend({ dataset: z.string() });

/** `a=x,b=y` as an object. */
const pairs = z.string().transform((text): unknown => parseFieldMap(text));
const shares = z.strictObject({
  validation: z.coerce.number().min(0).max(0.9).default(0),
  test: z.coerce.number().min(0).max(0.9).default(0),
});

const inspect = runs(
  folder.extend({ file: z.string(), encoding }),
  async ({ dir, ...request }, { output }) => {
    const found = await askSite(at(dir), 'inspect', request);
    const { format, columns, guess, others, problems, person } = found;
    const about = found.rows.exact ? '' : 'about ';
    output.line(
      `${found.name}: ${format}${found.encoding ? `, ${found.encoding}` : ''}, ${about}${found.rows.count} rows.`,
    );
    for (const line of formatTable(
      ['column', 'holds', 'filled'],
      columns.map(({ name, kind, filled }) => [name, kind, `${Math.round(filled * 100)} %`]),
    ))
      output.line(line);
    if (guess === null) output.line('No mapping fits; write one with --map or --mapping.');
    else output.line(`Read as ${guess.mapping.kind}: ${guess.reason}`);
    for (const { mapping, reason } of others) output.line(`Also possible: ${mapping.kind}. ${reason}`);
    if (person !== null) output.line(`“${person}” may tell persons apart: --person ${person}`);
    for (const problem of problems) output.line(problem);
    output.result({ ...found });
  },
);

const importOptions = folder.extend({
  ...{ file: z.string(), as: z.string(), encoding },
  map: pairs.pipe(z.record(z.string(), z.string())).optional(),
  mapping: z.string().optional(),
  person: z.string().optional(),
  document: z.string().optional(),
  split: pairs.pipe(shares).optional(),
  personal: pairs.pipe(personalChoicesShape).optional(),
  ...{ skipBad: z.boolean().default(false), newVersion: z.boolean().default(false) },
  withoutDuplicates: z.boolean().default(false),
});
const importFile = runs(importOptions, async ({ dir, mapping: file, ...options }, { output }) => {
  const mapping = file === undefined ? undefined : await readMapping(file);
  const imported = await askSite(at(dir), 'import', { ...options, mapping });
  const { mapping: used, sameFile, personal, unasked } = imported;
  const left = imported.skipped > 0 ? `; ${imported.skipped} were left out` : '';
  output.line(`${imported.rows} rows are imported as ${imported.dataset}${left}.`);
  const parts = Object.entries(used.kind === 'text-template' ? used.template : used.fields);
  if (parts.length > 0) {
    const origins = parts.map(([field, origin]) => `${field} = ${origin}`).join(', ');
    output.line(`Read as ${used.kind}: ${origins}. Where that is wrong, name the fields with --map.`);
  }
  for (const [kind, { choice, findings }] of Object.entries(personal ?? {}))
    output.line(
      `${kind}: ${findings} found, ${{ keep: 'kept', mask: 'masked', exclude: 'their rows left out' }[choice]}.`,
    );
  if (unasked.length > 0) {
    const kinds = unasked.map(({ kind, count }) => `${kind} (${count})`).join(', ');
    output.line(`What looks like personal data was kept: ${kinds}. Choose with --personal.`);
  }
  if (sameFile.length > 0) output.line(`The same file was imported before: ${sameFile.join(', ')}.`);
  output.result(imported);
});

async function readMapping(path: string) {
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('vault.bad-map', `${path} is not JSON.`, { cause });
  }
  return parseMapping(value);
}

/** What `import` takes where nothing else is said: broken rows are left out and counted. */
const IMPORT_DEFAULTS = { skipBad: true, newVersion: false, withoutDuplicates: false };

const list = runs(folder, async ({ dir }, { output }) => {
  const answer = await askSite(at(dir), 'datasets', {});
  const lines = answer.datasets.map(({ name, rows, skipped, created }) => [
    name,
    rows,
    skipped,
    new Date(created * 1000).toISOString().slice(0, 10),
  ]);
  for (const line of formatTable(['dataset', 'rows', 'left out', 'imported'], lines)) output.line(line);
  output.result(answer);
});

const fetchPublic = runs(
  folder.extend({ name: z.string().optional(), as: z.string().optional() }),
  async ({ dir, name, as }, context) => {
    const { output } = context;
    if (name === undefined) {
      listPublic(output);
      return;
    }
    const entry = publicDataset(name);
    const file = await fetchDataWithProgress(entry, context, createNetwork(at(dir).network));
    output.line(file);
    const about = { id: entry.id, path: file, licence: entry.licence, pinned: entry.sha256 !== null };
    if (as === undefined) {
      output.line(`Import it with: tributary site data import ${file} --dir ${dir} --as ${entry.id}`);
      output.result(about);
      return;
    }
    const { mapping } = entry;
    const imported = await askSite(at(dir), 'import', { ...IMPORT_DEFAULTS, file, as, mapping });
    output.line(`${imported.rows} rows are imported as ${as}. Licence: ${entry.licence}.`);
    output.result({ ...about, ...imported });
  },
);

function listPublic(output: Output): void {
  const rows = PUBLIC_DATASETS.map(({ id, name, topic, licence, bytes, sha256, evaluation, file }) => ({
    ...{ id, name, topic, licence, bytes, sha256, evaluation },
    fetched: existsSync(join(publicFolder(), file)),
  }));
  const table = formatTable(
    ['name', 'about', 'size', 'licence', 'hash', 'for', 'here'],
    rows.map(({ id, topic, bytes, licence, sha256, evaluation, fetched }) => [
      id,
      topic,
      `${sha256 === null ? 'about ' : ''}${formatBytes(bytes)}`,
      licence,
      sha256 === null ? 'first use' : 'pinned',
      evaluation ? 'measuring' : 'training',
      fetched ? 'yes' : 'no',
    ]),
  );
  for (const line of table) output.line(line);
  output.result({ datasets: rows, folder: publicFolder() });
}

const preview = runs(
  dataset.extend({ model: z.string().optional(), maxLength: wholeNumber(8).optional() }),
  async ({ dir, ...request }, { output }) => {
    const shown = await askSite(at(dir), 'preview', request);
    for (const { segments, tokens, trainedTokens, cut, rejected } of shown.examples) {
      output.line(`--- ${trainedTokens} of ${tokens} tokens trained${cut ? ', cut' : ''}`);
      for (const each of [segments, rejected?.segments ?? []])
        if (each.length > 0)
          output.line(each.map(({ text, trained }) => (trained ? `»${text}«` : text)).join(''));
    }
    if (shown.reason !== null) output.line(shown.reason);
    output.result({ ...shown });
  },
);

const screen = runs(dataset.extend({ rows: wholeNumber(1) }), async ({ dir, ...request }, { output }) => {
  const screening = await askSite(at(dir), 'screen', request);
  const lines = screening.findings.map(({ kind, count, rows, samples }) => [
    kind,
    count,
    rows,
    samples.join('  '),
  ]);
  output.line(`${screening.rows} rows were looked at.`);
  if (lines.length > 0)
    for (const line of formatTable(['kind', 'found', 'rows', 'veiled samples'], lines)) output.line(line);
  output.result({ ...screening });
});

const rows = runs(
  dataset.extend({ offset: wholeNumber(0), limit: wholeNumber(1) }),
  async ({ dir, ...request }, { output }) => {
    const page = await askSite(at(dir), 'rows', request);
    for (const { position, split, row } of page.rows) {
      output.line(`--- row ${position + 1} of ${page.total}, ${split}`);
      for (const [name, value] of Object.entries(row)) output.line(`${name}: ${textOf(value)}`);
    }
    output.result({ ...page });
  },
);

const search = runs(
  dataset.extend({ text: z.string().min(1), limit: wholeNumber(1) }),
  async ({ dir, ...request }, { output }) => {
    const answer = await askSite(at(dir), 'search', request);
    for (const { position, field, row } of answer.hits)
      output.line(`row ${position + 1}, ${field}: ${textOf(row[field])}`);
    output.line(`${answer.hits.length}${answer.complete ? '' : ' or more'} rows hold it.`);
    output.result({ ...answer });
  },
);

const exportRows = runs(
  dataset.extend({ out: z.string(), format: z.enum(EXPORT_FORMATS) }),
  async ({ dir, ...request }, { output }) => {
    const made = await askSite(at(dir), 'exportRows', request);
    output.line(`${made.rows} rows are written to ${made.out}. They lie open there.`);
    output.result(made);
  },
);

const withdraw = runs(
  dataset.extend({ yes: z.boolean().default(false) }),
  async ({ dir, yes, ...request }, { output }) => {
    const answer = await askSite(at(dir), 'withdraw', { ...request, confirm: yes });
    for (const sentence of answer.sentences) output.line(sentence);
    output.line(yes ? 'It is done.' : 'Nothing was done yet; do it with --yes.');
    output.result({ ...answer });
  },
);
