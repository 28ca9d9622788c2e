/** @file Fetches what the hub publishes: as a delta to what the site holds where that is possible, else whole. */

import { toTributaryError } from '../errors.ts';
import { applyBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { encodeTensors, readTensors } from '../federation/codec.ts';
import type { Bulk } from './bulk.ts';
import type { SiteContext } from './context.ts';

/** Leaves the published file in the site's blobs, verified by its hash. Throws as `Bulk.use` does. */
export async function fetchPublished(
  { context, bulk }: { context: SiteContext; bulk: Bulk },
  published: Published,
  signal: AbortSignal,
): Promise<void> {
  if (context.blobs.has(published.hash)) return;
  if (await fetchDelta({ context, bulk }, published, signal)) return;
  const { hash, size } = published;
  await bulk.use((transfers) => transfers.fetch({ hash, size }), signal);
}

/** Whether it could be made of what the site holds. Whatever is wrong with a delta, the whole file is there too. */
async function fetchDelta(
  { context: { blobs, log }, bulk }: { context: SiteContext; bulk: Bulk },
  { hash, delta }: Published,
  signal: AbortSignal,
): Promise<boolean> {
  if (delta === undefined || (delta.from !== null && !blobs.has(delta.from))) return false;
  try {
    await bulk.use((transfers) => transfers.fetch({ hash: delta.hash, size: delta.size }), signal);
    if (delta.from !== null) await blobs.describe(delta.from); // verified, for a disk may damage it
    const from = delta.from === null ? null : readTensors(blobs.path(delta.from));
    const made = await blobs.put(encodeTensors(applyBroadcast(blobs.path(delta.hash), from)));
    await blobs.remove(delta.hash);
    if (made.hash === hash) return true;
    await blobs.remove(made.hash);
    log.warn({ hash, made: made.hash }, 'the hub’s delta makes another file than it says');
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toTributaryError(thrown);
    if (code === 'disk.full') throw thrown;
    log.warn({ code }, `The hub’s delta is of no use: ${message}`);
  }
  return false;
}
