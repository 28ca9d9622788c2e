/** @file Fetching a model of the catalogue with progress. */

import type { CatalogueEntry } from '../../core/model/catalogue.ts';
import { fetchModel } from '../../core/model/fetch.ts';
import type { CommandContext } from './command.ts';
import { formatBytes } from './format.ts';

/** Brings a model to this machine and checks it; returns its path. A model that is here already is only checked. */
export async function fetchWithProgress(
  entry: CatalogueEntry,
  { output, interruption, progress }: CommandContext,
): Promise<string> {
  const display = progress(`Fetching ${entry.id}`);
  let source = '';
  const path = await fetchModel(entry, {
    signal: interruption(),
    onFirstUse: (sha256) => {
      output.line(`The catalogue does not pin ${entry.id}. The hash of what was fetched is remembered here:`);
      output.line(`  sha256 ${sha256}`);
      output.event('first-use', { model: entry.id, sha256 });
    },
    onProgress: (state) => {
      if (state.source !== source) output.event('source', { source: state.source });
      source = state.source;
      if (state.phase === 'done') return;
      const detail = state.phase === 'downloading' ? formatBytes(state.bytes) : state.phase;
      display.update(state.fraction ?? 0, 1, `${detail}, ${source}`);
    },
  });
  display.finish(`${entry.id} is verified; it came from ${source}.`);
  return path;
}
