/**
 * @file Blobs over a bulk socket, both ways at once: chunks of at most 1 MiB, only so many of them without an
 * acknowledgement as the link can take, each verified, and nothing sent twice that has already arrived, whatever broke in between.
 */

import { readSync } from 'node:fs';
import { toTributaryError, TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import type { Timer } from '../machine.ts';
import type { BlobStore } from './blobs.ts';
import type { Channel } from './channel.ts';
import type { Message, MessageOf } from './messages.ts';
import { createPace } from './pace.ts';
import type { Pace } from './pace.ts';
import { chunkCount } from './partial.ts';
import type { BlobInfo, PartialBlob } from './partial.ts';
import { errorOf, toldToPeer } from './peer-errors.ts';
import type { BlobReference } from './shapes.ts';

/** Chunks under way without an acknowledgement at most; `pace.ts` allows fewer on slow links. */
export const WINDOW = 64;
/** Blobs that one peer may fetch, or send, at the same time. */
const MAX_AT_ONCE = 4;

/** Bytes that have arrived out of all; being complete is told by the promise, after verification. */
export type OnTransfer = (progress: { readonly bytes: number; readonly size: number }) => void;

export interface TransferOptions {
  readonly channel: Channel;
  readonly store: BlobStore;
  /** Whether the peer may fetch this blob. */
  readonly mayServe: (hash: string) => boolean;
  /** Refuses an offered blob by throwing; without it nothing may be offered. */
  readonly acceptOffer?: (offer: BlobReference) => void;
  /** Told when an offered blob is whole, verified and synced. */
  readonly onArrived?: (blob: BlobReference) => void;
  /** Seconds without any progress after which a transfer is given up; it can be begun again. */
  readonly stallSeconds?: number;
}

export interface Transfers {
  /** Makes sure that the blob lies in the store. Throws `transfer.*`, `disk.full` or why the connection ended. */
  readonly fetch: (blob: BlobReference, onProgress?: OnTransfer) => Promise<void>;
  /** Offers a blob of the store; resolves when the peer holds it, verified and synced. Throws like `fetch`. */
  readonly offer: (blob: BlobReference, onProgress?: OnTransfer) => Promise<void>;
}

/** A transfer that somebody waits for. */
interface Pending {
  readonly blob: BlobReference;
  readonly onProgress?: OnTransfer;
  /** It was fetched and can be fetched again, unlike what was offered; so it need not be synced. */
  readonly replaceable: boolean;
  readonly promise: Promise<void>;
  /** Chunks that the peer was told are here already. */
  announced: number;
  readonly settle: (error?: TributaryError) => void;
  readonly touch: () => void;
}

interface Sending {
  readonly pace: Pace;
  readonly acknowledged: Set<number>;
  inFlight: number;
  wake: () => void;
  stopped: boolean;
}

/** Serves and uses a bulk channel until it closes; takes over its messages. */
export function serveTransfers(options: TransferOptions): Transfers {
  const { channel, store } = options;
  const stallMilliseconds = (options.stallSeconds ?? 60) * 1000;
  const fetching = new Map<string, Pending>();
  const offering = new Map<string, Pending>();
  const arriving = new Map<string, PartialBlob>();
  const sending = new Map<string, Sending>();
  let ended: TributaryError | undefined;

  void channel.closed.then(async (reason) => {
    ended = reason;
    for (const pending of [...fetching.values(), ...offering.values()]) pending.settle(reason);
    for (const transfer of sending.values()) stop(transfer);
    for (const partial of arriving.values()) await partial.close();
    arriving.clear();
  });

  function stop(transfer: Sending): void {
    transfer.stopped = true;
    transfer.wake();
  }

  /** One promise per blob, with an alarm that goes off when nothing moves. */
  function track(
    list: Map<string, Pending>,
    blob: BlobReference,
    { onProgress, replaceable = false }: Partial<Pick<Pending, 'onProgress' | 'replaceable'>> = {},
  ): Pending {
    let settle: Pending['settle'] = () => undefined;
    let timer: Timer | undefined;
    const promise = new Promise<void>((resolve, reject) => {
      settle = (error) => {
        timer?.cancel();
        list.delete(blob.hash);
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    const touch = (): void => {
      timer?.cancel();
      timer = machine.startTimer(stallMilliseconds, () => {
        const seconds = stallMilliseconds / 1000;
        settle(
          new TributaryError('transfer.stalled', `No part of ${blob.hash} moved for ${seconds} seconds.`),
        );
      });
    };
    touch();
    const pending = { blob, onProgress, replaceable, promise, announced: 0, settle, touch };
    list.set(blob.hash, pending);
    return pending;
  }

  function fail(hash: string, thrown: unknown): void {
    const { code, message } = toldToPeer(toTributaryError(thrown));
    channel.send({ type: 'blob-fail', hash, code, message });
  }

  // Receiving.

  async function want(pending: Pending): Promise<void> {
    const partial = await store.resume(pending.blob);
    pending.announced = partial?.progress().chunks ?? 0;
    channel.send({ type: 'blob-want', hash: pending.blob.hash, have: partial?.have() ?? [] });
    await partial?.close();
  }

  async function onInfo(info: MessageOf<'blob-info'>): Promise<void> {
    const pending = fetching.get(info.hash);
    if (pending === undefined || arriving.has(info.hash)) return;
    const { hash, size, chunkSize, chunkHashes } = info;
    if (size !== pending.blob.size || chunkHashes.length !== chunkCount(info)) {
      throw new TributaryError(
        'transfer.corrupt',
        `The announced parts of ${hash} do not add up to its size.`,
      );
    }
    const { replaceable } = pending;
    const partial = await store.begin({ hash, size, chunkSize, chunkHashes }, { replaceable });
    if (ended !== undefined) return partial.close();
    arriving.set(hash, partial);
    const { chunks, bytes } = partial.progress();
    pending.onProgress?.({ bytes, size });
    if (chunks < pending.announced) {
      // What was announced as here belonged to another division into chunks: ask again, from nothing.
      channel.send({ type: 'blob-want', hash, have: partial.have() });
    }
    await completeIfWhole(pending, partial);
  }

  async function onChunk(chunk: MessageOf<'blob-chunk'>): Promise<void> {
    const partial = arriving.get(chunk.hash);
    const pending = fetching.get(chunk.hash);
    if (partial === undefined || pending === undefined) return;
    await partial.write(chunk.index, chunk.bytes);
    pending.touch();
    pending.onProgress?.({ bytes: partial.progress().bytes, size: pending.blob.size });
    channel.send({ type: 'blob-ack', hash: chunk.hash, index: chunk.index });
    return completeIfWhole(pending, partial); // not awaited, which would hold the chunk until the disk has all of it
  }

  async function completeIfWhole(pending: Pending, partial: PartialBlob): Promise<void> {
    if (partial.progress().chunks < chunkCount(partial.info)) return;
    arriving.delete(pending.blob.hash);
    await partial.complete();
    channel.send({ type: 'blob-done', hash: pending.blob.hash });
    pending.settle();
  }

  async function giveUpReceiving(hash: string, error: TributaryError): Promise<void> {
    const partial = arriving.get(hash);
    arriving.delete(hash);
    await partial?.close();
    fetching.get(hash)?.settle(error);
  }

  async function onOffer(offer: BlobReference): Promise<void> {
    if (options.acceptOffer === undefined) {
      throw new TributaryError('transfer.refused', 'Nothing may be offered here.');
    }
    options.acceptOffer(offer);
    const blob = { hash: offer.hash, size: offer.size };
    if (store.size(blob.hash) === blob.size) {
      channel.send({ type: 'blob-done', hash: blob.hash });
      options.onArrived?.(blob);
      return;
    }
    if (fetching.has(blob.hash)) return;
    if (fetching.size >= MAX_AT_ONCE)
      throw new TributaryError('hub.busy', 'Too many transfers at the same time.');
    const pending = track(fetching, blob);
    pending.promise.then(
      () => options.onArrived?.(blob),
      () => undefined, // the peer offers again
    );
    await want(pending);
  }

  // Sending.

  function onWant(request: MessageOf<'blob-want'>): void {
    const { hash } = request;
    if (!options.mayServe(hash) || !store.has(hash)) {
      throw new TributaryError('transfer.refused', `The blob ${hash} is not offered.`);
    }
    const before = sending.get(hash);
    if (before !== undefined) stop(before);
    else if (sending.size >= MAX_AT_ONCE) {
      throw new TributaryError('hub.busy', 'Too many transfers at the same time.');
    }
    const transfer: Sending = {
      pace: createPace(WINDOW),
      acknowledged: new Set(),
      inFlight: 0,
      wake: () => undefined,
      stopped: false,
    };
    sending.set(hash, transfer);
    sendChunks(request, transfer)
      .catch((thrown: unknown) => {
        if (ended !== undefined) return;
        fail(hash, thrown);
        offering.get(hash)?.settle(toTributaryError(thrown));
      })
      .finally(() => {
        if (sending.get(hash) === transfer) sending.delete(hash);
      });
  }

  async function sendChunks(request: MessageOf<'blob-want'>, transfer: Sending): Promise<void> {
    const info = await store.describe(request.hash);
    channel.send({ type: 'blob-info', ...info });
    const missing = missingChunks(info, request.have);
    const before = info.size - missing.reduce((sum, index) => sum + lengthOf(info, index), 0);
    const file = await store.open(info.hash);
    let sent = before;
    try {
      for (const index of missing) {
        while (transfer.inFlight >= transfer.pace.allowed() && !transfer.stopped) await untilMoved(transfer);
        await channel.drain();
        if (transfer.stopped) return;
        const bytes = roomFor(lengthOf(info, index));
        readSync(file.fd, bytes, 0, bytes.length, index * info.chunkSize);
        transfer.inFlight += 1;
        transfer.pace.sent(index);
        channel.send({ type: 'blob-chunk', hash: info.hash, index, bytes });
        sent += bytes.length;
        offering.get(info.hash)?.onProgress?.({ bytes: sent, size: info.size });
      }
      while (transfer.inFlight > 0 && !transfer.stopped) await untilMoved(transfer);
    } finally {
      await file.close();
    }
  }

  function untilMoved(transfer: Sending): Promise<void> {
    return new Promise((resolve) => (transfer.wake = resolve));
  }

  function onAck(ack: MessageOf<'blob-ack'>): void {
    const transfer = sending.get(ack.hash);
    if (transfer === undefined || transfer.acknowledged.has(ack.index) || transfer.inFlight === 0) return;
    transfer.acknowledged.add(ack.index);
    transfer.inFlight -= 1;
    transfer.pace.acknowledged(ack.index);
    offering.get(ack.hash)?.touch();
    transfer.wake();
  }

  function onDone(hash: string): void {
    const transfer = sending.get(hash);
    if (transfer !== undefined) stop(transfer);
    offering.get(hash)?.settle();
  }

  async function onFail(failure: MessageOf<'blob-fail'>): Promise<void> {
    const error = errorOf({ ...failure, hint: '' });
    const transfer = sending.get(failure.hash);
    if (transfer !== undefined) stop(transfer);
    offering.get(failure.hash)?.settle(error);
    await giveUpReceiving(failure.hash, error);
  }

  async function handle(message: Message): Promise<void> {
    switch (message.type) {
      case 'blob-want':
        return onWant(message);
      case 'blob-info':
        return onInfo(message);
      case 'blob-chunk':
        return onChunk(message);
      case 'blob-ack':
        return onAck(message);
      case 'blob-offer':
        return onOffer(message);
      case 'blob-done':
        return onDone(message.hash);
      case 'blob-fail':
        return onFail(message);
      default:
        throw new TributaryError('wire.not-allowed', `${message.type} has no place on a bulk socket.`);
    }
  }

  channel.listen((message) => {
    const hash = 'hash' in message && message.type.startsWith('blob-') ? message.hash : null;
    return handle(message).catch(async (thrown: unknown) => {
      if (hash === null) throw thrown;
      // One blob has failed, not the connection.
      fail(hash, thrown);
      await giveUpReceiving(hash, toTributaryError(thrown));
    });
  });

  return {
    fetch: async (blob, onProgress) => {
      if (store.size(blob.hash) === blob.size) return;
      if (ended !== undefined) throw ended;
      const running = fetching.get(blob.hash);
      if (running !== undefined) return running.promise;
      const pending = track(fetching, blob, { onProgress, replaceable: true });
      want(pending).catch((thrown: unknown) => pending.settle(toTributaryError(thrown)));
      return pending.promise.catch(async (thrown: unknown) => {
        fail(blob.hash, thrown); // so that the peer stops sending; dropped if the connection has ended
        await giveUpReceiving(blob.hash, toTributaryError(thrown));
        throw thrown;
      });
    },
    offer: async (blob, onProgress) => {
      if (ended !== undefined) throw ended;
      const pending = offering.get(blob.hash) ?? track(offering, blob, { onProgress });
      channel.send({ type: 'blob-offer', ...blob });
      return pending.promise;
    },
  };
}

/** The chunk that is being sent, of whatever transfer: it is sealed before the next one is read. */
let scratch = Buffer.allocUnsafeSlow(0);
function roomFor(length: number): Buffer {
  if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(length);
  return scratch.subarray(0, length);
}

function missingChunks(info: BlobInfo, have: readonly (readonly [number, number])[]): number[] {
  const missing: number[] = [];
  let range = 0;
  for (let index = 0; index < chunkCount(info); index++) {
    while (range < have.length && have[range][1] < index) range += 1;
    if (range >= have.length || index < have[range][0]) missing.push(index);
  }
  return missing;
}

function lengthOf(info: BlobInfo, index: number): number {
  return Math.min(info.chunkSize, info.size - index * info.chunkSize);
}
