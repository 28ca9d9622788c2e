/** @file Fetching a file of a catalogue with progress. */

import type { FetchOptions } from '../../core/fetching/fetch.ts';
import type { CatalogueEntry } from '../../core/model/catalogue.ts';
import { fetchModel } from '../../core/model/fetch.ts';
import { createNetwork } from '../../core/network/network.ts';
import type { Network } from '../../core/network/network.ts';
import { formatBytes } from '../../core/sizes.ts';
import type { PublicDataset } from '../../core/vault/public/catalogue.ts';
import { fetchPublicDataset } from '../../core/vault/public/fetch.ts';
import type { CommandContext } from './command.ts';

/**
 * Brings a model to this machine and checks it; returns its path. A model that is here already is only checked.
 * @param network default as the variables of the environment say
 */
export function fetchWithProgress(
  entry: CatalogueEntry,
  context: CommandContext,
  network?: Network,
): Promise<string> {
  return fetching({ model: entry.id }, { ...context, network }, (options) => fetchModel(entry, options));
}

/** The same for a public dataset. */
export function fetchDataWithProgress(
  entry: PublicDataset,
  context: CommandContext,
  network?: Network,
): Promise<string> {
  return fetching({ dataset: entry.id }, { ...context, network }, (options) =>
    fetchPublicDataset(entry, options),
  );
}

async function fetching(
  what: { readonly model: string } | { readonly dataset: string },
  {
    output,
    interruption,
    progress,
    network = createNetwork(),
  }: CommandContext & { readonly network?: Network },
  fetch: (options: FetchOptions) => Promise<string>,
): Promise<string> {
  const id = 'model' in what ? what.model : what.dataset;
  const display = progress(`Fetching ${id}`);
  let source = '';
  const path = await fetch({
    signal: interruption(),
    network,
    onFirstUse: (sha256) => {
      output.line(`The catalogue does not pin ${id}. The hash of what was fetched is remembered here:`);
      output.line(`  sha256 ${sha256}`);
      output.event('first-use', { ...what, sha256 });
    },
    onProgress: (state) => {
      if (state.source !== source) output.event('source', { source: state.source });
      source = state.source;
      if (state.phase === 'done') return;
      const detail = state.phase === 'downloading' ? formatBytes(state.bytes) : state.phase;
      display.update(state.fraction ?? 0, 1, `${detail}, ${source}`);
    },
  });
  display.finish(`${id} is verified; it came from ${source}.`);
  return path;
}
