/** @file Fetches what the hub publishes: as a delta to what the site holds where that is possible, else whole. */

import { toTributaryError } from '../errors.ts';
import { applyBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { readTensors } from '../federation/codec.ts';
import { putTensors } from '../federation/tensor-writer.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Bulk } from './bulk.ts';
import type { FederationContext } from './context.ts';
import type { HeldTensors } from './held.ts';

interface Fetching {
  readonly context: FederationContext;
  readonly bulk: Bulk;
  /** Where numbers are kept for the next delta, which changes them: only for who is done with them by then. */
  readonly held?: HeldTensors;
}

/**
 * Leaves the published file in the site's blobs, verified by its hash, and gives its tensors. It is not synced, for it
 * can be fetched again: what a loss of power has damaged fails its hash after the restart. Throws as `Bulk.use` does.
 */
export async function fetchPublished(
  work: Fetching,
  published: Published,
  signal: AbortSignal,
): Promise<NamedTensors> {
  const { context, bulk, held } = work;
  const { hash, size, delta } = published;
  const isHere = await isThere(context, hash);
  const known = isHere ? held?.get(hash) : await fetchDelta(work, published, signal);
  if (!isHere && known === undefined) await bulk.use((transfers) => transfers.fetch({ hash, size }), signal);
  const tensors = known ?? readTensors(context.blobs.path(hash));
  if (delta !== undefined) held?.keep(hash, tensors);
  return tensors;
}

async function isThere({ blobs, log }: FederationContext, hash: string): Promise<boolean> {
  if (!blobs.has(hash)) return false;
  try {
    await blobs.require(hash);
    return true;
  } catch (thrown) {
    const { code, message } = toTributaryError(thrown);
    if (code !== 'blob.damaged') throw thrown;
    log.warn({ code }, message);
    await blobs.remove(hash);
    return false;
  }
}

/**
 * What could be made of what the site holds, or nothing: whatever is wrong with a delta, the whole file is there too.
 * The file that the delta is applied to needs no check of its own, for what is made of it has a hash.
 */
async function fetchDelta(
  { context: { blobs, log }, bulk, held }: Fetching,
  { hash, delta }: Published,
  signal: AbortSignal,
): Promise<NamedTensors | undefined> {
  if (delta === undefined || (delta.from !== null && !blobs.has(delta.from))) return undefined;
  try {
    await bulk.use((transfers) => transfers.fetch({ hash: delta.hash, size: delta.size }), signal);
    const { from: before } = delta;
    const from = before === null ? null : (held?.take(before) ?? readTensors(blobs.path(before)));
    const tensors = applyBroadcast(blobs.path(delta.hash), from);
    const made = await putTensors(blobs, tensors, { replaceable: true });
    await blobs.remove(delta.hash);
    if (made.hash === hash) return tensors;
    await blobs.remove(made.hash);
    log.warn({ hash, made: made.hash }, 'the hub’s delta makes another file than it says');
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toTributaryError(thrown);
    if (code === 'disk.full') throw thrown;
    log.warn({ code }, `The hub’s delta is of no use: ${message}`);
  }
  return undefined;
}
