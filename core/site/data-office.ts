/** @file What one may ask of a site about its datasets; rows of the office's table. */

import { z } from 'zod';
import { EXPORT_FORMATS, exportRows } from '../vault/export.ts';
import { inspectFile } from '../vault/inspect.ts';
import type { MappedRecord, VaultRow } from '../vault/mapping.ts';
import { screenRows } from '../vault/personal/screening.ts';
import { fileChoiceShape } from '../vault/readers/source.ts';
import { importDataset, importRequest } from './datasets.ts';
import { row } from './office-row.ts';
import { openPreviewText, previewRows } from './preview.ts';
import { planWithdrawal, withdrawDataset } from './withdrawal.ts';

const dataset = z.object({ dataset: z.string() });
const limit = z.int().min(1).max(10_000);

export const DATA_OFFICE = {
  import: row(importRequest, async ({ context }, { file, map, ...request }) => {
    const mapping = map === undefined ? request.mapping : ({ kind: 'fields', fields: map } as const);
    const imported = await importDataset(context, file, { ...request, mapping });
    const { name, version, rows, skipped, lineage } = imported.dataset;
    const { counts, personal = null } = lineage;
    // What nobody looked for is told all the same, of the first rows.
    const found =
      personal === null
        ? (await screenRows(context.vault.rows(name), { limit: SCREENED_ROWS })).findings
        : [];
    return {
      ...{ dataset: name, version, rows, skipped, mapping: imported.mapping, counts, personal },
      unasked: found.map(({ kind, count }) => ({ kind, count })),
      sameFile: imported.sameFile,
    };
  }),

  datasets: row(z.object({}), ({ context: { vault } }) => ({
    datasets: vault.datasets().map(({ name, version, rows, skipped, created, lineage }) => {
      return { name, version, rows, skipped, created, lineage };
    }),
  })),

  inspect: row(z.object({ ...fileChoiceShape.shape, file: z.string() }), (_, { file, ...choice }) =>
    inspectFile(file, choice),
  ),

  preview: row(
    dataset.extend({ model: z.string().optional(), maxLength: z.int().min(8).optional() }),
    async ({ context: { vault } }, { dataset: name, ...options }) => {
      return previewRows(asMapped(vault.rows(name)), await openPreviewText(options));
    },
  ),

  screen: row(dataset.extend({ rows: z.int().min(1) }), ({ context: { vault } }, { dataset: name, rows }) =>
    screenRows(vault.rows(name), { limit: rows }),
  ),

  rows: row(
    dataset.extend({ offset: z.int().min(0), limit }),
    ({ context: { vault } }, { dataset: name, offset, limit: most }) => vault.page(name, offset, most),
  ),

  search: row(
    dataset.extend({ text: z.string().min(1), limit }),
    async ({ context: { vault } }, { dataset: name, text, limit: most }) => {
      const hits = [];
      for await (const hit of vault.search(name, text)) {
        hits.push(hit);
        if (hits.length === most) break;
      }
      return { hits, complete: hits.length < most };
    },
  ),

  withdraw: row(
    dataset.extend({ confirm: z.boolean() }),
    ({ context, agents }, { dataset: name, confirm }) => {
      const withdrawal = confirm ? withdrawDataset(context, agents, name) : planWithdrawal(context, name);
      const { rows, runs, adapters, sentences, versions } = withdrawal;
      return { withdrawn: confirm, versions: versions.length, rows, runs, adapters, sentences };
    },
  ),

  exportRows: row(
    dataset.extend({ out: z.string(), format: z.enum(EXPORT_FORMATS) }),
    async ({ context: { vault } }, { dataset: name, out, format }) => ({
      ...{ out, format },
      rows: await exportRows(vault, name, { path: out, format }),
    }),
  ),
};

/** Rows of an import that are looked at where nothing was said of personal data. */
const SCREENED_ROWS = 2000;

function* asMapped(rows: Iterable<VaultRow>): Generator<MappedRecord> {
  for (const row of rows) yield { row };
}
