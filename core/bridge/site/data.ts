/** @file What a site's window asks about private data: answered over the vault, which checks and encrypts. */

import { basename, extname } from 'node:path';
import { importDataset } from '../../site/datasets.ts';
import { openPreviewText, previewRows } from '../../site/preview.ts';
import type { SiteContext } from '../../site/context.ts';
import { planWithdrawal, withdrawDataset } from '../../site/withdrawal.ts';
import { inspectFile } from '../../vault/inspect.ts';
import type { Inspection } from '../../vault/inspect.ts';
import { readMapped } from '../../vault/mapped.ts';
import type { MappedRecord, VaultRow } from '../../vault/mapping.ts';
import { screenRows } from '../../vault/personal/screening.ts';
import { textOf } from '../../vault/values.ts';
import type { StoredRow } from '../../vault/vault.ts';
import type { CheckedInput, Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import type { SiteApplication } from './application.ts';
import { describeDataset } from './datasets.ts';

/** Characters of a value that a table shows, and around the hit of a search. */
const SHOWN_CHARACTERS = 2000;
const HIT_CHARACTERS = 120;
/** Windows are told of hits at most so often. */
const TELL_MILLISECONDS = 100;

type Source = CheckedInput<'data.preview'>['source'];

export function dataHandlers(application: Pick<SiteApplication, 'site' | 'tasks' | 'emit'>): Handlers {
  const { tasks, emit } = application;
  const context = (): SiteContext => application.site().context;
  async function* mappedRows(source: Source): AsyncGenerator<MappedRecord> {
    if (!('dataset' in source)) {
      yield* readMapped(source.path, source);
      return;
    }
    for (const row of context().vault.rows(source.dataset)) yield { row };
  }

  async function* usableRows(source: Source): AsyncGenerator<VaultRow> {
    for await (const mapped of mappedRows(source)) if ('row' in mapped) yield mapped.row;
  }

  return {
    'data.inspect': async ({ path, reading }) => toAnswer(await inspectFile(path, reading), context()),

    'data.preview': async ({ source, model, template, maxLength }) => {
      const text = await openPreviewText({ model, template, ...(maxLength !== null && { maxLength }) });
      return toPreview(await previewRows(mappedRows(source), text));
    },

    'data.screen': async ({ source, rows: limit }) => {
      const { rows, findings } = await screenRows(usableRows(source), { limit });
      const nameOf = 'dataset' in source ? (field: string) => field : columnNames(source.mapping);
      return {
        rows,
        findings: findings.map(({ fields, ...finding }) => ({
          ...finding,
          columns: fields.map(nameOf),
          samples: [...finding.samples],
        })),
      };
    },

    'data.import': ({ path, reading, name, person, document, ...request }) => ({
      task: tasks.start({ kind: 'import', subject: name, unit: 'bytes' }, async ({ signal, progress }) => {
        const { dataset } = await importDataset(context(), path, {
          ...reading,
          ...request,
          as: name,
          ...(person !== null && { person }),
          ...(document !== null && { document }),
          signal,
          onProgress: ({ bytes, totalBytes }) => progress({ done: bytes, total: totalBytes }),
        });
        emit('changed', { what: 'datasets' });
        return describeDataset(context(), dataset);
      }),
    }),

    'data.list': () => ({
      datasets: context()
        .vault.datasets()
        .map((dataset) => describeDataset(context(), dataset)),
    }),

    'data.rows': ({ dataset, offset, limit }) => {
      const { rows, total } = context().vault.page(dataset, offset, limit);
      const columns = [...new Set(rows.flatMap(({ row }) => Object.keys(row)))];
      return { total, columns, rows: rows.map(toShownRow) };
    },

    'data.search': ({ dataset, text, limit }) => ({
      task: tasks.start(
        { kind: 'search', subject: dataset, unit: 'rows' },
        async ({ id, signal, progress }) => {
          let hits: { row: number; column: string; text: string }[] = [];
          let found = 0;
          let scanned = 0;
          let told = performance.now();
          const tell = (): void => {
            emit('search', { task: id, hits, scanned });
            hits = [];
            told = performance.now();
          };
          const search = context().vault.search(dataset, text, {
            signal,
            onProgress: ({ rows, totalRows }) => {
              scanned = rows;
              progress({ done: rows, total: totalRows });
              if (performance.now() - told > TELL_MILLISECONDS) tell();
            },
          });
          for await (const { position, row, field, start, end } of search) {
            hits.push({ row: position + 1, column: field, text: around(textOf(row[field]), start, end) });
            found++;
            scanned = Math.max(scanned, position + 1);
            // The first one is shown at once.
            if (found === 1 || performance.now() - told > TELL_MILLISECONDS) tell();
            if (found === limit) break;
          }
          tell();
          return { hits: found, scanned, complete: found < limit };
        },
      ),
    }),

    'data.withdraw': ({ dataset, confirm }) => {
      const site = application.site();
      const withdrawal = confirm
        ? withdrawDataset(site.context, site.agents, dataset)
        : planWithdrawal(site.context, dataset);
      if (confirm) emit('changed', { what: 'datasets' });
      const { rows, runs, adapters, sentences } = withdrawal;
      return {
        withdrawn: confirm,
        rows,
        runs: [...runs],
        adapters: [...adapters],
        sentences: [...sentences],
      };
    },
  };
}

function toAnswer(inspection: Inspection, { vault }: SiteContext): Output<'data.inspect'> {
  const { path, bytes, format, encoding, delimiter, rows, person, document, guess, others } = inspection;
  const known = ({ mapping, reason, preset }: NonNullable<Inspection['guess']>) => ({
    ...{ mapping, reason, preset: preset ?? null },
  });
  return {
    ...{ path, bytes, format, encoding, delimiter, rows, person, document },
    columns: inspection.columns.map(({ name, kind, filled }) => ({ name, kind, filled })),
    sample: inspection.sample.map((row) => shownValues(row)),
    guess: guess && known(guess),
    others: others.map(known),
    suggestedName: freeName(
      path,
      vault.datasets().map(({ name }) => name),
    ),
    notes: [
      ...(encoding === null || encoding === 'utf-8' ? [] : [inspection.encodingReason]),
      ...inspection.problems,
    ],
  };
}

/** The file's name as a dataset may be called, with a number behind it where that is taken. */
function freeName(path: string, taken: readonly string[]): string {
  const plain = basename(path, extname(path))
    .replaceAll(/[^\p{L}\p{N}_.-]+/gu, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 56);
  const name = plain === '' ? 'data' : plain;
  if (!taken.includes(name)) return name;
  let number = 2;
  while (taken.includes(`${name}-${number}`)) number++;
  return `${name}-${number}`;
}

function toPreview({
  model,
  examples,
  trainedTokens,
  reason,
}: Awaited<ReturnType<typeof previewRows>>): Output<'data.preview'> {
  const copy = <Shown extends { readonly segments: readonly { text: string; trained: boolean }[] }>(
    shown: Shown,
  ) => ({
    ...shown,
    segments: [...shown.segments],
  });
  return {
    ...{ model, trainedTokens, reason },
    examples: examples.map((example) => ({
      ...copy(example),
      rejected: example.rejected && copy(example.rejected),
    })),
  };
}

/** Of a field of a row the column that it was made from, where it was made from one. */
function columnNames(mapping: CheckedInput<'data.import'>['mapping']): (field: string) => string {
  const fields: Readonly<Record<string, string | undefined>> = 'fields' in mapping ? mapping.fields : {};
  return (field) => fields[field] ?? field;
}

function toShownRow({ position, row, split }: StoredRow): Output<'data.rows'>['rows'][number] {
  return { row: position + 1, part: split, values: shownValues(row) };
}

function shownValues(row: VaultRow): Record<string, string> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const text = textOf(value);
      return [name, text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text];
    }),
  );
}

/** The words that were found and what stands around them. */
function around(text: string, start: number, end: number): string {
  const from = Math.max(0, start - HIT_CHARACTERS);
  const to = Math.min(text.length, end + HIT_CHARACTERS);
  return `${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`;
}
