/** @file Brings a model of the catalogue to this machine. */

import { fetchFile } from '../fetching/fetch.ts';
import type { FetchOptions } from '../fetching/fetch.ts';
import { modelPlace, placeOfModel } from './catalogue.ts';
import type { CatalogueEntry } from './catalogue.ts';
import { openGguf } from './gguf.ts';

/**
 * The path of the verified file in the user's model folder, or where the program was installed with it.
 * @throws TributaryError `model.not-reachable`, `model.hash-mismatch`, `model.damaged`, `disk.full`
 */
export function fetchModel(
  entry: CatalogueEntry,
  { folder, ...options }: FetchOptions & { readonly folder?: string },
): Promise<string> {
  const inspect = (path: string): Promise<void> => Promise.resolve().then(() => openGguf(path).close());
  const lies = folder === undefined ? placeOfModel(entry) : undefined;
  return fetchFile(entry, { ...modelPlace(folder), inspect, lies }, options);
}
