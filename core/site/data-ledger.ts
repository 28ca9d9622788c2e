/**
 * @file Which datasets came and went, in the site's ledger. Vault and ledger are two databases, so an import is entered
 * after it, a withdrawal before it, and what a crash left between is made up for when the folder is opened.
 */

import type { Dataset, Vault } from '../vault/vault.ts';
import type { SiteStore } from './store.ts';

type Place = { readonly vault: Vault; readonly store: SiteStore };

/** Enters imports that are not in the ledger yet, and deletes rows whose withdrawal is. */
export function settleDatasets({ vault, store }: Place): void {
  const withdrawn = store.recordedData('data-withdrawal');
  const recorded = store.recordedData('data-import');
  for (const dataset of vault.datasets({ allVersions: true })) {
    if (withdrawn.has(dataset.id)) vault.remove(dataset.reference);
    else if (!recorded.has(dataset.id)) recordImport(store, dataset);
  }
}

/** What was imported, how much of it, and what was chosen for personal data; nothing of the rows. */
function recordImport(store: SiteStore, { id, reference, rows, skipped, lineage }: Dataset): void {
  store.transaction('record-import', () =>
    store.ledger.append('data-import', {
      ...{ id, dataset: reference, rows, skipped },
      sha256: lineage.file?.sha256 ?? null,
      // Null: nobody looked for any.
      personal: lineage.personal ?? null,
    }),
  );
}
