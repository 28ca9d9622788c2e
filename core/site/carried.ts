/** @file What a site carries from one round of a run to the next, as blobs on its disk. */

import { toTributaryError } from '../errors.ts';
import { readTensors } from '../federation/codec.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { putTensors } from '../federation/tensor-writer.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { FederationContext } from './context.ts';
import type { CarriedTensors } from './outcome.ts';
import type { Carried } from './federation-store.ts';
import type { HeldTensors } from './held.ts';

interface Wanted {
  readonly round: number;
  readonly only?: readonly (keyof CarriedTensors)[];
  /** Where numbers are that need not be read; whoever is given them may change them. */
  readonly held?: HeldTensors;
}

type Carrying = Pick<FederationContext, 'store' | 'blobs' | 'log'>;

/**
 * What the last round that counted, before `round`, has left. Without what rounding had left out a site can go on, for
 * it is small, so that is not synced and a loss of power may take it; without the rest it cannot: the hub's control variate would not be the mean of all any more, and the
 * site's own matrices are nowhere else. Throws `blob.*`.
 */
export async function readCarried(
  { store, blobs, log }: Carrying,
  run: string,
  { round, only, held }: Wanted,
): Promise<CarriedTensors> {
  const carried: Record<string, NamedTensors> = {};
  for (const [name, blob] of Object.entries(store.carriedInto(run, round))) {
    if (only?.some((wanted) => wanted === name) === false) continue;
    try {
      await blobs.require(blob.hash);
    } catch (thrown) {
      if (name !== 'rest') throw thrown;
      log.warn({ run, round, code: toTributaryError(thrown).code }, 'what rounding had left out is lost');
      continue;
    }
    carried[name] = held?.take(blob.hash) ?? readTensors(blobs.path(blob.hash));
  }
  return carried;
}

export async function writeCarried({ blobs }: Carrying, tensors: CarriedTensors): Promise<Carried> {
  const carried: Record<string, BlobReference> = {};
  for (const [name, value] of Object.entries(tensors) as [string, NamedTensors][])
    carried[name] = await putTensors(blobs, value, { replaceable: name === 'rest' });
  return carried;
}
