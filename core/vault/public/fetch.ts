/** @file Brings a public dataset to this machine: a file to be looked at and imported as any other. */

import { fetchFile } from '../../fetching/fetch.ts';
import type { FetchOptions } from '../../fetching/fetch.ts';
import type { FileKind } from '../../fetching/wanted.ts';
import { inspectFile } from '../inspect.ts';
import { checkMapping } from '../mapping.ts';
import { publicFolder } from './catalogue.ts';
import type { PublicDataset } from './catalogue.ts';

const DATASET: FileKind = {
  noun: 'dataset',
  notReachable: 'data.not-reachable',
  otherHash: 'data.other-hash',
  damaged: 'data.damaged-memory',
};

/**
 * The path of the verified file. An unpinned one must have the columns of its mapping before it is trusted.
 * @throws TributaryError `data.not-reachable`, `data.other-hash`, `data.damaged-memory`, `disk.full`
 */
export function fetchPublicDataset(
  entry: PublicDataset,
  { folder = publicFolder(), ...options }: FetchOptions & { readonly folder?: string },
): Promise<string> {
  const inspect = async (path: string): Promise<void> => {
    const { columns } = await inspectFile(path);
    checkMapping(
      entry.mapping,
      columns.map(({ name }) => name),
    );
  };
  return fetchFile(entry, { folder, kind: DATASET, inspect }, options);
}
