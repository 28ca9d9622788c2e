/**
 * @file What is packaged, packed by electron-builder itself without Electron: for each system what the programs need
 * at run time and nothing else. The package of this machine is then run where nothing else can be found.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { extractAll, listPackage, statFile } from '@electron/asar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeFolder } from '../helpers/folders.ts';
import { reachedFrom } from './reached.ts';

const root = join(import.meta.dirname, '../..');
const execute = promisify(execFile);
const SYSTEMS = ['linux-x64', 'win32-x64', 'darwin-arm64'];
/** Programs that are started: the command line and those that run as processes of their own. */
const PROGRAMS = ['out/tributary.js', 'out/training-process.js', 'out/device-probe.js'];
const DESKTOP = ['out/desktop/main.js', 'out/desktop/preload.cjs'];
/** Files of the logger that no import shows: threads that it may start, and its warnings. */
const THREADS = [
  'node_modules/pino/lib/worker.js',
  'node_modules/pino/lib/deprecations.js',
  'node_modules/thread-stream/lib/worker.js',
];
/** Native modules and the libraries beside them, which no import shows either. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['libonnxruntime.so.1'],
  'win32-x64': ['DirectML.dll', 'dxcompiler.dll', 'dxil.dll', 'onnxruntime.dll'],
  'darwin-arm64': ['libonnxruntime.1.dylib'],
};

interface PackedFile {
  readonly path: string;
  readonly unpacked: boolean;
}

let scratch: string;
let resources: Readonly<Record<string, string>>;
let reached: ReadonlySet<string>;
const packed = new Map<string, readonly PackedFile[]>();

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'tributary-packed-'));
  const { stdout } = await execute(process.execPath, ['packaging/package.js', '--dry', scratch], {
    cwd: root,
  });
  resources = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, string>;
  for (const system of SYSTEMS) packed.set(system, filesOf(join(resources[system], 'app.asar')));
  const entries = [...PROGRAMS, ...DESKTOP, ...THREADS].map((path) => join(root, path));
  reached = new Set([...(await reachedFrom(root, entries))].map(relativePath));
}, 120_000);
afterAll(() => removeFolder(scratch));

const relativePath = (path: string): string => relative(root, path).split(sep).join('/');
const packageOf = (path: string): string | undefined =>
  /^node_modules\/(?:@[^/]+\/)?[^/]+(?:\/node_modules\/(?:@[^/]+\/)?[^/]+)*/.exec(path)?.[0];

function filesOf(archive: string): PackedFile[] {
  return listPackage(archive, { isPack: false }).flatMap((listed) => {
    const path = listed.split(sep).join('/').replace(/^\//, '');
    const entry = statFile(archive, listed.slice(1));
    if ('files' in entry) return [];
    return [{ path, unpacked: 'unpacked' in entry && entry.unpacked === true }];
  });
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relativePath(join(entry.parentPath, entry.name)));
}

describe.each(SYSTEMS)('the package of %s', (system) => {
  const files = (): readonly PackedFile[] => packed.get(system) ?? [];
  const paths = (): Set<string> => new Set(files().map(({ path }) => path));

  it('holds what its programs import, the window and the resources', () => {
    const needed = [
      ...reached,
      ...filesBelow('out/renderer'),
      ...['desktop', 'plans', 'samples', 'tasks']
        .flatMap((folder) => filesBelow(`resources/${folder}`))
        .filter((path) => !path.endsWith('README.md')),
      // Read by the interpreter of proxy scripts when it begins.
      ...['package.json', 'LICENSE', 'node_modules/quickjs-wasi/quickjs.wasm'],
    ];
    expect(needed.length).toBeGreaterThan(400);
    expect(needed.filter((path) => !paths().has(path))).toEqual([]);
  });

  it('holds nothing of the project’s own that no program needs', () => {
    const own = [...paths()].filter((path) => !path.startsWith('node_modules/'));
    const known = new Set([
      ...reached,
      ...filesBelow('out/renderer'),
      'out/licences.json',
      'package.json',
      'LICENSE',
    ]);
    expect(
      own.filter((path) => !known.has(path) && !/^resources\/(desktop|plans|samples|tasks)\//.test(path)),
    ).toEqual([]);
  });

  it('holds no package that no program imports', () => {
    const used = new Set([...reached].map(packageOf));
    const unused = [...paths()].map(packageOf).filter((name) => name !== undefined && !used.has(name));
    expect([...new Set(unused)]).toEqual([]);
  });

  it('holds no sources, tests, documentation or maps of packages', () => {
    const others = [...paths()].filter((path) =>
      /\.(map|[mc]?ts|c|cc|cpp|h|gyp|gypi|tsbuildinfo)$|\/(tests?|docs|examples?|deps|src\/.*\.ts)\/|README/i.test(
        path,
      ),
    );
    expect(others.filter((path) => !reached.has(path))).toEqual([]);
  });

  it('holds the native files of its own system alone, beside the archive', () => {
    const native = files().filter(({ path }) => /\.(node|so|dll|dylib|exe|a)(\.[\d.]+)?$/.test(path));
    const [platform, arch] = system.split('-');
    const runtime = `node_modules/onnxruntime-node/bin/napi-v6/${platform}/${arch}`;
    expect(native.map(({ path }) => path).sort()).toEqual(
      [
        'node_modules/better-sqlite3/build/Release/better_sqlite3.node',
        ...['onnxruntime_binding.node', ...LIBRARIES[system]].map((name) => `${runtime}/${name}`),
      ].sort(),
    );
    expect(native.filter(({ unpacked }) => !unpacked)).toEqual([]);
    for (const { path } of native) {
      expect(existsSync(join(resources[system], 'app.asar.unpacked', path))).toBe(true);
    }
  });
});

describe.runIf(SYSTEMS.includes(`${process.platform}-${process.arch}`))('the package of this machine', () => {
  let folder: string;
  beforeAll(() => {
    folder = join(scratch, 'app');
    extractAll(join(resources[`${process.platform}-${process.arch}`], 'app.asar'), folder);
  });
  const run = async (...words: string[]): Promise<Record<string, unknown>[]> => {
    const { stdout } = await execute(process.execPath, ['out/tributary.js', ...words, '--json'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], TRIBUTARY_HOME: join(scratch, 'home') },
    });
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  it('loads its engine and its database where nothing else lies', async () => {
    const [result] = (await run('doctor')).slice(-1);
    const findings = result['findings'] as { name: string; verdict: string }[];
    expect(findings.filter(({ name }) => /engine|database/.test(name))).toMatchObject([
      { name: 'engine', verdict: 'ok' },
      { name: 'database', verdict: 'ok' },
    ]);
  });

  it('trains, in a process of its own, on its own sample', async () => {
    const sample = readdirSync(join(folder, 'resources/samples/clinics'))[0];
    const data = `resources/samples/clinics/${sample}/train.jsonl`;
    const words = ['--model', 'tiny', '--data', data, '--steps', '2', '--out', join(scratch, 'adapter')];
    await run('train', ...words);
    expect(readFileSync(join(scratch, 'adapter/adapter_config.json'), 'utf8')).toContain('"peft_type"');
  });
});
