/** @file A PEFT folder for others: read, checked and written anew, with a model card. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.ts';
import { readAdapter, writeAdapter } from '../model/adapter.ts';
import type { AdapterBase } from '../model/adapter.ts';
import { modelCard, MODEL_CARD } from './model-card.ts';
import type { Provenance } from './model-card.ts';

/** Returns the names of the files. @throws TributaryError as `readAdapter` and `writeAdapter` do */
export async function writePeft({
  adapter: folder,
  base,
  out,
  provenance,
}: {
  readonly adapter: string;
  readonly base: AdapterBase;
  readonly out: string;
  readonly provenance?: Provenance;
}): Promise<string[]> {
  const adapter = readAdapter(folder, base);
  await writeAdapter(out, adapter, base);
  const card = modelCard({ base: base.identity, adapter: adapter.configuration, provenance, merged: null });
  await writeFileAtomically(join(out, MODEL_CARD), card, 0o644);
  return (await readdir(out)).sort();
}
