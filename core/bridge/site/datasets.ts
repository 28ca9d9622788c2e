/** @file A dataset as windows show it. */

import type { SiteContext } from '../../site/context.ts';
import { sameFileAs } from '../../site/datasets.ts';
import { nameOfRun } from '../../site/run-names.ts';
import { nameOfReference } from '../../vault/vault.ts';
import type { Dataset } from '../../vault/vault.ts';
import type { Dataset as ShownDataset } from '../contract/data.ts';

export function describeDataset({ federations, vault }: SiteContext, dataset: Dataset): ShownDataset {
  const { name, version, created, rows, skipped, lineage } = dataset;
  const { mapping, counts, file, split, personal, masked } = lineage;
  const runs = [...federations.values()].flatMap(({ number, store }) =>
    store
      .runs()
      .filter((run) => run.dataset !== null && nameOfReference(run.dataset) === name)
      .map(({ run }) => nameOfRun(number, run)),
  );
  return {
    ...{ name, version, created, rows, skipped },
    objective: objectiveOf(vault, dataset),
    kind: mapping.kind,
    ...(split?.rows ?? { train: rows, validation: 0, test: 0 }),
    leftOut: { empty: counts.empty, broken: counts.broken, personal: counts.personal },
    duplicates: counts.duplicates,
    overlong: counts.overlong,
    masked: masked ?? 0,
    source: file?.name ?? null,
    sameFile: sameFileAs(vault, dataset),
    personal: personal ?? null,
    runs,
  };
}

/** Rows that were taken as they are say it themselves. */
function objectiveOf(vault: SiteContext['vault'], { reference, lineage }: Dataset): 'sft' | 'dpo' {
  if (lineage.mapping.kind !== 'fields') return lineage.mapping.kind === 'preference' ? 'dpo' : 'sft';
  const [first] = vault.page(reference, 0, 1).rows;
  return first !== undefined && 'chosen' in first.row ? 'dpo' : 'sft';
}
