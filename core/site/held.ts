/** @file Tensors of a site's blobs that the next round changes in place, so that they need not be read again. */

import type { NamedTensors } from '../model/tensor.ts';

export interface HeldTensors {
  /** Keeps the numbers of a blob, which its holder no longer changes. */
  keep(hash: string, tensors: NamedTensors): void;
  /** The numbers of a blob, to be read. */
  get(hash: string): NamedTensors | undefined;
  /** The same to be changed: they are those of the blob no more. */
  take(hash: string): NamedTensors | undefined;
  /** Forgets the blobs that are of no more use. */
  prune(needs: (hash: string) => boolean): void;
}

export function createHeldTensors(): HeldTensors {
  const held = new Map<string, NamedTensors>();
  return {
    keep: (hash, tensors) => void held.set(hash, tensors),
    get: (hash) => held.get(hash),
    take: (hash) => {
      const tensors = held.get(hash);
      held.delete(hash);
      return tensors;
    },
    prune: (needs) => {
      for (const hash of held.keys()) if (!needs(hash)) held.delete(hash);
    },
  };
}
