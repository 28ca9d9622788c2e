/** @file Public datasets: the catalogue's rows, and fetching one from a server on this machine. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNetwork } from '../../core/network/network.ts';
import { PUBLIC_DATASETS, publicDataset } from '../../core/vault/public/catalogue.ts';
import type { PublicDataset } from '../../core/vault/public/catalogue.ts';
import { fetchPublicDataset } from '../../core/vault/public/fetch.ts';
import { errorOf } from '../helpers/errors.ts';

let folder: string;
let server: Server | null = null;
beforeEach(() => (folder = join(mkdtempSync(join(tmpdir(), 'tributary-public-')), 'datasets')));
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
  rmSync(join(folder, '..'), { recursive: true });
});

const quick = { network: createNetwork(), backOff: [1, 1, 1], answerTimeout: 2000, stallTimeout: 300 };
const rows = Array.from({ length: 2000 }, (_, row) => ({
  question: `What is ${row}?`,
  answer: `It is ${row}.`,
}));
const jsonl = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A server that answers as told; gives its address and the ranges that were asked for. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse, count: number) => void) {
  const ranges: (string | undefined)[] = [];
  const paths: (string | undefined)[] = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    paths.push(request.url);
    answer(request, response, ranges.length);
  });
  await new Promise<void>((ready) => server?.listen(0, '127.0.0.1', ready));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, ranges, paths };
}

function sendFrom(bytes: Uint8Array, request: IncomingMessage, response: ServerResponse): Uint8Array {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const part = bytes.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': part.length,
    ...(start > 0 && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  return part;
}

const pinnedAt = (url: string): PublicDataset => ({
  ...publicDataset('gsm8k'),
  bytes: jsonl.length,
  sha256: hashOf(jsonl),
  sources: [{ kind: 'address', url: `${url}/train.jsonl` }],
});

describe('the catalogue', () => {
  it('has every name once, and a file of its own for each', () => {
    for (const key of ['id', 'file', 'name'] as const)
      expect(new Set(PUBLIC_DATASETS.map((entry) => entry[key])).size).toBe(PUBLIC_DATASETS.length);
  });

  it('pins nothing that a moving branch of the hub serves, and only addresses of the web', () => {
    for (const { sha256, sources } of PUBLIC_DATASETS)
      for (const source of sources) {
        if (source.kind === 'address') expect(source.url).toMatch(/^https:/);
        if (source.kind === 'hugging-face-dataset') expect(sha256).toBeNull();
      }
  });

  it('names the sets it has where one is asked for that it has not', async () => {
    const error = await errorOf(() => publicDataset('nothing'));
    expect(error).toMatchObject({ code: 'data.unknown-set' });
    expect(error.message).toContain('gsm8k');
  });
});

describe('fetching a dataset that is pinned', () => {
  it('goes on where a connection stalled, and is whole and verified before it is there', async () => {
    const { url, ranges } = await serve((request, response, count) => {
      const part = sendFrom(jsonl, request, response);
      if (count === 1) response.write(part.subarray(0, 50_000));
      else response.end(part);
    });
    const path = await fetchPublicDataset(pinnedAt(url), { ...quick, folder });
    expect(readFileSync(path).equals(jsonl)).toBe(true);
    expect(ranges).toEqual([undefined, 'bytes=50000-']);
  });

  it('goes on after the program was ended, from what it had received', async () => {
    const { url, ranges } = await serve((request, response) =>
      response.end(sendFrom(jsonl, request, response)),
    );
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'gsm8k.jsonl.address.part'), jsonl.subarray(0, 12_345));
    await fetchPublicDataset(pinnedAt(url), { ...quick, folder });
    expect(ranges).toEqual(['bytes=12345-']);
  });

  it('refuses another file of the same size, and keeps nothing of it', async () => {
    const other = Buffer.from(jsonl.toString('utf8').replaceAll('What', 'Whom'));
    const { url } = await serve((request, response) => response.end(sendFrom(other, request, response)));
    const error = await errorOf(() => fetchPublicDataset(pinnedAt(url), { ...quick, folder }));
    expect(error).toMatchObject({ code: 'data.not-reachable', retryable: true });
    expect(error.message).toContain(hashOf(other));
    expect(existsSync(join(folder, 'gsm8k.jsonl'))).toBe(false);
  });

  it('says, where no source can be reached, which file to put where, and takes it from there', async () => {
    const entry = pinnedAt('http://127.0.0.1:9');
    const error = await errorOf(() => fetchPublicDataset(entry, { ...quick, folder }));
    expect(error.code).toBe('data.not-reachable');
    expect(error.message).toContain('gsm8k.jsonl');
    for (const told of [join(folder, 'gsm8k.jsonl'), String(jsonl.length), hashOf(jsonl)])
      expect(error.hint).toContain(told);
    writeFileSync(join(folder, 'gsm8k.jsonl'), jsonl);
    expect(await fetchPublicDataset(entry, { ...quick, folder })).toBe(join(folder, 'gsm8k.jsonl'));
  });
});

describe('fetching a dataset that nobody could pin', () => {
  const table = (instruction: string) =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: ['instruction', 'input', 'output', 'text'].map((name) => ({
          ...{ name, type: 'STRING' as const, data: [name === 'instruction' ? instruction : name] },
        })),
      }),
    );

  it('trusts the first, by the columns of its mapping, and refuses another later', async () => {
    let sent = table('Name a bone.');
    const { url, paths } = await serve((request, response) =>
      response.end(sendFrom(sent, request, response)),
    );
    const seen: string[] = [];
    const options = { ...quick, folder, hub: url, onFirstUse: (sha256: string) => seen.push(sha256) };
    const path = await fetchPublicDataset(publicDataset('alpaca'), options);
    expect(paths).toEqual([
      '/datasets/tatsu-lab/alpaca/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet',
    ]);
    expect(seen).toEqual([hashOf(sent)]);
    rmSync(path);
    sent = table('Name a muscle.');
    const error = await errorOf(() => fetchPublicDataset(publicDataset('alpaca'), options));
    expect(error.code).toBe('data.other-hash');
    expect(error.hint).toContain(join(folder, 'first-use.json'));
    expect(existsSync(path)).toBe(false);
  });

  it.each([
    ['a page to log in', Buffer.from('<html><body>log in</body></html>')],
    ['a table of something else', Buffer.from('price,weight\n1,2\n')],
  ])('does not trust %s', async (_, sent) => {
    const { url } = await serve((request, response) => response.end(sendFrom(sent, request, response)));
    const error = await errorOf(() =>
      fetchPublicDataset(publicDataset('alpaca'), { ...quick, folder, hub: url }),
    );
    expect(error.code).toBe('data.not-reachable');
    expect(error.message).toContain('is not the dataset');
    expect(existsSync(join(folder, 'first-use.json'))).toBe(false);
  });
});
