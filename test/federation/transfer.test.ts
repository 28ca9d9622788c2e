/** @file Blobs on disk and on their way: verified, bounded, resumed at the missing chunk. */

import { createHash, randomBytes } from 'node:crypto';
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { openBlobStore } from '../../core/federation/blobs.ts';
import type { BlobStore } from '../../core/federation/blobs.ts';
import type { Channel } from '../../core/federation/channel.ts';
import { generateIdentity } from '../../core/federation/identity.ts';
import type { Message } from '../../core/federation/messages.ts';
import type { BlobReference } from '../../core/federation/shapes.ts';
import { CHUNK_BYTES } from '../../core/federation/shapes.ts';
import { serveTransfers, WINDOW } from '../../core/federation/transfer.ts';
import type { TransferOptions } from '../../core/federation/transfer.ts';
import { collectGarbage } from '../../core/garbage.ts';
import { replaceMachine } from '../../core/machine.ts';
import { createVirtualMachine } from '../../core/simulation/faults/virtual-machine.ts';
import { connectToHub } from '../../core/site/connect.ts';
import { openTestHub } from '../helpers/hub.ts';
import type { TestHub } from '../helpers/hub.ts';
import { until } from '../helpers/until.ts';

const site = generateIdentity();
let hub: TestHub;
let folder: string;
let atHub: BlobStore;
let atSite: BlobStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-transfer-'));
  atHub = await openBlobStore(join(folder, 'hub'));
  atSite = await openBlobStore(join(folder, 'site'));
  hub = await openTestHub();
  hub.enrol('clinic-a', site);
});
afterEach(async () => {
  await hub.listener.close();
  rmSync(folder, { recursive: true });
});

/** Both ends of a fresh bulk socket. */
async function ends(): Promise<{ mine: Channel; theirs: Channel }> {
  const count = hub.bulk.length;
  const { channel } = await connectToHub({
    urls: [hub.listener.url],
    role: 'bulk',
    software: 'test',
    identity: site,
    hubX25519: hub.identity.x25519.publicKey,
  });
  await until(() => expect(hub.bulk.length).toBe(count + 1));
  return { mine: channel, theirs: hub.bulk[count].channel };
}

/** Calls `see` with every message a channel sends. */
function watch(channel: Channel, see: (message: Message) => void): Channel {
  return {
    ...channel,
    send: (message) => {
      see(message);
      channel.send(message);
    },
  };
}

const all: Pick<TransferOptions, 'mayServe' | 'acceptOffer'> = {
  mayServe: () => true,
  acceptOffer: () => undefined,
};

/** A blob of some chunks, the last one short. */
function put(store: BlobStore, chunks: number): Promise<BlobReference> {
  return store.put(randomBytes((chunks - 1) * CHUNK_BYTES + 12_345));
}

const leftovers = (path: string): string[] => readdirSync(path).filter((name) => name.length > 64);

describe('blob store', () => {
  it('keeps bytes by their hash and notices damage', async () => {
    const blob = await atHub.put(Buffer.from('weights'));
    expect(blob).toEqual({ hash: createHash('sha256').update('weights').digest('hex'), size: 7 });
    expect(await atHub.put(Buffer.from('weights'))).toEqual(blob);
    expect((await atHub.read(blob.hash)).toString()).toBe('weights');
    writeFileSync(atHub.path(blob.hash), 'weighty');
    await expect(atHub.read(blob.hash)).rejects.toMatchObject({ code: 'blob.damaged' });
    await expect(atHub.describe(blob.hash)).rejects.toMatchObject({ code: 'blob.damaged' });
    await expect(atHub.read('0'.repeat(64))).rejects.toMatchObject({ code: 'blob.missing' });
    expect(() => atHub.path('../keys')).toThrow(TypeError);
  });

  it('clears away what a crash left, and what nobody keeps', async () => {
    writeFileSync(join(folder, 'hub', 'abc.tmp'), 'half');
    const again = await openBlobStore(join(folder, 'hub'));
    const [kept, gone] = [await put(again, 1), await put(again, 1)];
    const partial = await again.begin({
      hash: 'ab'.repeat(32),
      size: 1,
      chunkSize: 1,
      chunkHashes: [new Uint8Array(32)],
    });
    await partial.close();
    expect(await again.collectGarbage(new Set([kept.hash]))).toBe(1);
    expect(again.has(gone.hash)).toBe(false);
    expect(readdirSync(join(folder, 'hub'))).toEqual([kept.hash]);
  });

  it('writes blobs over those of their size that nobody keeps, as long as more are to come', async () => {
    const inode = (blob: BlobReference): number => statSync(atHub.path(blob.hash)).ino;
    const [first, second, kept] = [await put(atHub, 2), await put(atHub, 2), await put(atHub, 2)];
    const before = [inode(first), inode(second)];
    linkSync(atHub.path(second.hash), join(folder, 'backup'));
    const backup = readFileSync(join(folder, 'backup'));
    await atHub.collectGarbage(new Set([kept.hash]), { goesOn: true });
    expect([first, second].map(({ hash }) => atHub.has(hash))).toEqual([false, false]);
    const [third, fourth] = [await put(atHub, 2), await put(atHub, 2)];
    expect(inode(third)).toBe(before[0]);
    expect(inode(fourth)).not.toBe(before[1]);
    await atHub.verify(third.hash);
    expect(readFileSync(join(folder, 'backup'))).toEqual(backup);
    // What arrives is written over them too.
    await atHub.collectGarbage(new Set([kept.hash, fourth.hash]), { goesOn: true });
    const bytes = randomBytes(third.size);
    const info = await atSite.describe((await atSite.put(bytes)).hash);
    const partial = await atHub.begin(info);
    expect(partial.have()).toEqual([]);
    for (const index of [0, 1])
      await partial.write(index, bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
    await partial.complete();
    expect(inode(info)).toBe(before[0]);
    await atHub.verify(info.hash);
  });

  it('writes over no blob that is being read, and keeps none of no use', async () => {
    const blob = await put(atHub, 2);
    const reading = await atHub.open(blob.hash);
    await atHub.collectGarbage(new Set(), { goesOn: true });
    await put(atHub, 2);
    const bytes = Buffer.alloc(blob.size);
    await reading.read(bytes, 0, blob.size, 0);
    await reading.close();
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(blob.hash);

    const temporary = (): string[] =>
      readdirSync(join(folder, 'hub')).filter((name) => name.endsWith('.tmp'));
    await atHub.collectGarbage(new Set(), { goesOn: true });
    expect(temporary()).toHaveLength(1);
    await put(atHub, 1); // of another size
    expect(temporary()).toEqual([]);
    await atHub.collectGarbage(new Set(), { goesOn: true });
    await atHub.collectGarbage(new Set());
    expect(readdirSync(join(folder, 'hub'))).toEqual([]);
  });

  it('gives the space of what is of no use to a blob that needs it, and refuses one that does not fit', async () => {
    const small = await put(atHub, 1);
    await atHub.collectGarbage(new Set(), { goesOn: true });
    const restore = replaceMachine({
      ...createVirtualMachine(1),
      freeBytes: (of) => Promise.resolve(readdirSync(of).length === 0 ? 2 * small.size : 0),
    });
    try {
      const blob = await put(atHub, 1);
      expect(readdirSync(join(folder, 'hub'))).toEqual([blob.hash]);
      await expect(put(atHub, 1)).rejects.toMatchObject({ code: 'disk.full' });
      await expect(atHub.resume({ ...blob, hash: 'ab'.repeat(32) })).rejects.toMatchObject({
        code: 'disk.full',
      });
    } finally {
      restore();
    }
  });

  it('begins a blob at once, so that no chunk of it waits in memory', async () => {
    const info = await atHub.describe((await put(atHub, 2)).hash);
    const order: string[] = [];
    setImmediate(() => order.push('the files that others wait for'));
    const partial = await atSite.begin(info);
    order.push('begun');
    await partial.close();
    expect(order[0]).toBe('begun');
    // Of a connection that breaks while the blob is completed.
    await partial.close();
  });

  it('does not believe a partial file whose bytes were lost', async () => {
    const bytes = randomBytes(3 * CHUNK_BYTES);
    const info = await atHub.describe((await atHub.put(bytes)).hash);
    const partial = await atSite.begin(info);
    for (const index of [0, 1])
      await partial.write(index, bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
    await partial.close();
    const path = `${atSite.path(info.hash)}.part`;
    const torn = readFileSync(path);
    torn.fill(0, CHUNK_BYTES, CHUNK_BYTES + 4096);
    writeFileSync(path, torn);
    const resumed = await atSite.resume(info);
    expect(resumed?.have()).toEqual([[0, 0]]);
    await resumed?.close();
  });
});

describe('transfer', () => {
  it('brings blobs both ways at once, and says how far it is', async () => {
    const { mine, theirs } = await ends();
    const arrived: BlobReference[] = [];
    serveTransfers({ channel: theirs, store: atHub, ...all, onArrived: (blob) => arrived.push(blob) });
    const transfers = serveTransfers({ channel: mine, store: atSite, mayServe: () => true });
    const [base, update] = [await put(atHub, 11), await put(atSite, 3)];
    const steps: number[] = [];
    await Promise.all([
      transfers.fetch(base, ({ bytes, size }) => void (expect(size).toBe(base.size), steps.push(bytes))),
      transfers.offer(update),
    ]);
    expect((await atSite.read(base.hash)).length).toBe(base.size);
    expect((await atHub.read(update.hash)).length).toBe(update.size);
    expect(arrived).toEqual([update]);
    expect(steps.at(-1)).toBe(base.size);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect([...leftovers(join(folder, 'hub')), ...leftovers(join(folder, 'site'))]).toEqual([]);
  });

  it('sends nothing that is there already', async () => {
    const { mine, theirs } = await ends();
    const bytes = randomBytes(CHUNK_BYTES);
    const blob = await atHub.put(bytes);
    await atSite.put(bytes);
    const arrived: BlobReference[] = [];
    serveTransfers({ channel: theirs, store: atHub, ...all, onArrived: (known) => arrived.push(known) });
    const transfers = serveTransfers({ channel: mine, store: atSite, mayServe: () => true });
    await transfers.fetch(blob);
    await transfers.offer(blob);
    expect(mine.bytes.sent + mine.bytes.received).toBeLessThan(5000);
    expect(arrived).toEqual([blob]);
  });

  it('brings an empty blob', async () => {
    const { mine, theirs } = await ends();
    serveTransfers({ channel: theirs, store: atHub, ...all });
    const blob = await atHub.put(new Uint8Array(0));
    await serveTransfers({ channel: mine, store: atSite, mayServe: () => true }).fetch(blob);
    expect(atSite.size(blob.hash)).toBe(0);
  });

  it('never has more than the window under way', async () => {
    const { mine, theirs } = await ends();
    let underWay = 0;
    let most = 0;
    const counted = watch(theirs, (message) => {
      if (message.type === 'blob-chunk') most = Math.max(most, (underWay += 1));
    });
    serveTransfers({ channel: counted, store: atHub, ...all });
    const receiver = watch(mine, (message) => {
      if (message.type === 'blob-ack') underWay -= 1;
    });
    await serveTransfers({ channel: receiver, store: atSite, ...all }).fetch(await put(atHub, 20));
    expect(most).toBeLessThanOrEqual(WINDOW);
    expect(most).toBeGreaterThan(1);
  });

  it.each(['fetch', 'offer'] as const)(
    'resumes a %s cut at every chunk and takes each chunk once',
    async (way) => {
      const chunks = 6;
      const blob = await put(way === 'fetch' ? atHub : atSite, chunks);
      const acknowledged: number[] = [];
      for (let cut = 0; cut < chunks; cut++) {
        // A new process on both sides each time: stores and channels are opened again.
        [atHub, atSite] = [
          await openBlobStore(join(folder, 'hub')),
          await openBlobStore(join(folder, 'site')),
        ];
        const { mine, theirs } = await ends();
        const [sender, receiver] = way === 'fetch' ? [theirs, mine] : [mine, theirs];
        const watchedReceiver: Channel = {
          ...receiver,
          send: (message) => {
            receiver.send(message);
            if (message.type !== 'blob-ack') return;
            acknowledged.push(message.index);
            receiver.close();
          },
        };
        const [forSite, forHub] = way === 'fetch' ? [watchedReceiver, sender] : [sender, watchedReceiver];
        serveTransfers({ channel: forHub, store: atHub, ...all });
        const transfers = serveTransfers({ channel: forSite, store: atSite, mayServe: () => true });
        await expect(transfers[way](blob)).rejects.toMatchObject({ code: 'wire.closed' });
        await Promise.all([mine.closed, theirs.closed]);
      }
      // The last chunk completes the blob even though nobody is there to be told.
      const receiving = way === 'fetch' ? atSite : atHub;
      await until(() => expect(receiving.has(blob.hash)).toBe(true));
      expect((await receiving.read(blob.hash)).length).toBe(blob.size);
      expect(acknowledged).toEqual([0, 1, 2, 3, 4, 5]);
    },
  );

  it('holds no chunk that is written while the disk has not all of the blob', async () => {
    const bytes = randomBytes(CHUNK_BYTES);
    const info = await atSite.describe((await atSite.put(bytes)).hash);
    let handle = (_: Message): void | Promise<void> => undefined;
    let endWriting: (() => void) | undefined;
    const channel: Channel = {
      ...(await ends()).mine,
      send: () => undefined,
      listen: (handler) => void (handle = handler),
    };
    const store: BlobStore = {
      ...atHub,
      begin: async (blob) => ({
        ...(await atHub.begin(blob)),
        complete: () => new Promise<void>((resolve) => (endWriting = resolve)),
      }),
    };
    serveTransfers({ ...all, channel, store });
    await handle({ type: 'blob-offer', hash: info.hash, size: info.size });
    await handle({ type: 'blob-info', ...info });
    const chunk = ((): WeakRef<Uint8Array> => {
      const copy = Uint8Array.from(bytes);
      void handle({ type: 'blob-chunk', hash: info.hash, index: 0, bytes: copy });
      return new WeakRef(copy);
    })();
    await until(() => expect(endWriting).toBeDefined());
    await until(() => {
      collectGarbage();
      expect(chunk.deref()).toBeUndefined();
    });
    endWriting?.();
  });

  it('starts over when the parts are divided differently than before', async () => {
    const bytes = randomBytes(4 * CHUNK_BYTES);
    const blob = await atHub.put(bytes);
    const small = Array.from({ length: 8 }, (_, index) =>
      createHash('sha256')
        .update(bytes.subarray((index * CHUNK_BYTES) / 2, ((index + 1) * CHUNK_BYTES) / 2))
        .digest(),
    );
    const partial = await atSite.begin({ ...blob, chunkSize: CHUNK_BYTES / 2, chunkHashes: small });
    for (const index of [0, 1, 2])
      await partial.write(index, bytes.subarray((index * CHUNK_BYTES) / 2, ((index + 1) * CHUNK_BYTES) / 2));
    await partial.close();
    const { mine, theirs } = await ends();
    serveTransfers({ channel: theirs, store: atHub, ...all });
    await serveTransfers({ channel: mine, store: atSite, ...all }).fetch(blob);
    expect(atSite.has(blob.hash)).toBe(true);
  });

  it('refuses a blob with a damaged chunk, keeps the good ones and fetches only that one', async () => {
    const blob = await put(atHub, 5);
    const first = await ends();
    const damaging: Channel = {
      ...first.theirs,
      send: (message) => {
        if (message.type !== 'blob-chunk' || message.index !== 3) return first.theirs.send(message);
        first.theirs.send({
          ...message,
          bytes: Uint8Array.from(message.bytes, (byte, at) => byte ^ (at === 9 ? 1 : 0)),
        });
      },
    };
    serveTransfers({ channel: damaging, store: atHub, ...all });
    const transfers = serveTransfers({ channel: first.mine, store: atSite, ...all });
    await expect(transfers.fetch(blob)).rejects.toMatchObject({ code: 'transfer.corrupt' });
    expect(atSite.has(blob.hash)).toBe(false);

    const second = await ends();
    const indexes: number[] = [];
    const counted = watch(second.theirs, (message) => {
      if (message.type === 'blob-chunk') indexes.push(message.index);
    });
    serveTransfers({ channel: counted, store: atHub, ...all });
    await serveTransfers({ channel: second.mine, store: atSite, ...all }).fetch(blob);
    expect(indexes).toEqual([3]);
  });

  it('refuses a blob whose chunks are right and whose whole is not', async () => {
    const blob = await put(atHub, 2);
    const lie = { ...blob, hash: 'ab'.repeat(32) };
    const { mine, theirs } = await ends();
    theirs.listen(async (message) => {
      if (message.type !== 'blob-want') return;
      const info = await atHub.describe(blob.hash);
      theirs.send({ type: 'blob-info', ...info, hash: lie.hash });
      const bytes = await atHub.read(blob.hash);
      for (const index of [0, 1]) {
        theirs.send({
          type: 'blob-chunk',
          hash: lie.hash,
          index,
          bytes: bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
        });
      }
    });
    const transfers = serveTransfers({ channel: mine, store: atSite, ...all });
    await expect(transfers.fetch(lie)).rejects.toMatchObject({ code: 'transfer.corrupt' });
    expect(readdirSync(join(folder, 'site'))).toEqual([]);
  });

  it('does not send out a file that was damaged on disk', async () => {
    const blob = await put(atHub, 2);
    writeFileSync(atHub.path(blob.hash), randomBytes(blob.size));
    const { mine, theirs } = await ends();
    serveTransfers({ channel: theirs, store: atHub, ...all });
    const transfers = serveTransfers({ channel: mine, store: atSite, ...all });
    await expect(transfers.fetch(blob)).rejects.toMatchObject({ code: 'blob.damaged' });
  });

  it('serves only what is published and accepts only what fits', async () => {
    const secret = await put(atHub, 1);
    const large = await put(atSite, 3);
    const { mine, theirs } = await ends();
    serveTransfers({
      channel: theirs,
      store: atHub,
      mayServe: () => false,
      acceptOffer: ({ size }) => {
        if (size > CHUNK_BYTES)
          throw new TributaryError('transfer.too-large', `${size} bytes are more than ${CHUNK_BYTES}.`);
      },
    });
    const transfers = serveTransfers({ channel: mine, store: atSite, mayServe: () => true });
    await expect(transfers.fetch(secret)).rejects.toMatchObject({ code: 'transfer.refused' });
    await expect(transfers.offer(large)).rejects.toMatchObject({ code: 'transfer.too-large' });
    await transfers.offer(await put(atSite, 1));
    expect(leftovers(join(folder, 'hub'))).toEqual([]);
  });

  it('gives up when nothing moves, and may be tried again', async () => {
    const blob = await put(atHub, 2);
    const { mine, theirs } = await ends();
    let silent = true;
    const lazy: Channel = { ...theirs, send: (message) => (silent ? undefined : theirs.send(message)) };
    serveTransfers({ channel: lazy, store: atHub, ...all });
    const transfers = serveTransfers({ channel: mine, store: atSite, ...all, stallSeconds: 0.1 });
    await expect(transfers.fetch(blob)).rejects.toMatchObject({ code: 'transfer.stalled' });
    silent = false;
    await transfers.fetch(blob);
    expect(atSite.has(blob.hash)).toBe(true);
  });
});
