/**
 * @file `npm run package`: the desktop program as installers of this system, in `dist`. Options:
 *
 *     --download     lets Electron's archive be fetched where it is not here
 *     --dry DIR      packs everything but Electron, for all systems or those named after it, such as linux-x64
 *     --folder DIR   writes the program as a folder for Node.js, for servers and sites without a window
 *
 * See docs/packaging.md.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { dryPack } from './dry-pack.js';
import { createSbom } from './sbom.js';

const root = join(import.meta.dirname, '..');
const MODEL = 'smollm2-135m-instruct';
/** What is packaged for, as Node names it. */
const SYSTEMS = ['linux-x64', 'win32-x64', 'darwin-arm64'];
const OPTIONS = { download: { type: 'boolean' }, dry: { type: 'string' }, folder: { type: 'string' } };

/** What a person can do something about; said without a stack. */
class Refusal extends Error {}

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const { dry, folder, download = false } = values;
  const unknown = positionals.find((system) => dry === undefined || !SYSTEMS.includes(system));
  if (unknown !== undefined) throw new Refusal(`${unknown} is none of ${SYSTEMS.join(', ')}.`);
  if (dry !== undefined) {
    requireBuilt();
    const systems = positionals.length > 0 ? positionals : SYSTEMS;
    console.log(JSON.stringify(await dryPack(root, systems, resolve(dry))));
  } else if (folder !== undefined) {
    await writeFolder(resolve(folder));
  } else {
    await packageProgram(download);
  }
}

function requireBuilt() {
  if (existsSync(join(root, 'out/tributary.js')) && existsSync(join(root, 'out/renderer'))) return;
  throw new Refusal('The programs are not built. Run `npm run build` first.');
}

/** Builds the project and puts into `dist` what is packed beside it: the model, verified, and the bill of materials. */
async function prepare() {
  run('npm', ['run', '--silent', 'build']);
  const models = join(root, 'dist/models');
  rmSync(models, { recursive: true, force: true });
  mkdirSync(models, { recursive: true });
  const { file } = JSON.parse(readFileSync(join(root, 'resources/models.json'), 'utf8')).models.find(
    ({ id }) => id === MODEL,
  );
  const command = [join(root, 'out/tributary.js'), 'models', 'fetch', MODEL, '--json'];
  const { stdout, status } = spawnSync(process.execPath, command, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Refusal(`The model ${MODEL} could not be fetched; see above.`);
  const { path } = JSON.parse(stdout.trim().split('\n').at(-1));
  copyFileSync(path, join(models, file), constants.COPYFILE_FICLONE);
  writeFileSync(join(root, 'dist/sbom.cdx.json'), `${JSON.stringify(await createSbom(root), null, 2)}\n`);
}

/** The files of the package as a folder: `node out/tributary.js` in it, with nothing to install. */
async function writeFolder(folder) {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Refusal(`The folder ${folder} is not empty.`);
  await prepare();
  const { extractAll } = await import('@electron/asar');
  const scratch = await mkdtemp(join(tmpdir(), 'tributary-package-'));
  try {
    const system = `${process.platform}-${process.arch}`;
    const { [system]: resources } = await dryPack(root, [system], scratch);
    extractAll(join(resources, 'app.asar'), folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const models = join(folder, 'resources/models');
  mkdirSync(models, { recursive: true });
  for (const file of readdirSync(join(root, 'dist/models'))) {
    copyFileSync(join(root, 'dist/models', file), join(models, file), constants.COPYFILE_FICLONE);
  }
  copyFileSync(join(root, 'dist/sbom.cdx.json'), join(folder, 'sbom.cdx.json'));
  console.log(`The program lies in ${folder}: node ${join(folder, 'out/tributary.js')} doctor`);
}

async function packageProgram(download) {
  requireNode();
  const zip = electronArchive(download);
  await prepare();
  const { build } = await import('electron-builder');
  const artifacts = await withNodesSqlite(() =>
    build({
      projectDir: root,
      publish: 'never',
      config: zip === undefined ? {} : { electronDist: zip, afterExtract: removeDefaultApp },
    }),
  );
  const sums = artifacts.map(
    (path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}\n`,
  );
  writeFileSync(join(root, 'dist/SHA256SUMS'), sums.join(''));
  console.log(
    `In dist: ${artifacts.map((path) => basename(path)).join(', ')}, and their hashes in SHA256SUMS.`,
  );
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return;
  throw new Refusal(
    `Packaging needs Node.js 22.12 or newer, for @electron/rebuild; this is ${process.versions.node}. ` +
      'The project itself also runs on 20.19.',
  );
}

/** Path of Electron's archive for this machine, checked against the hash that its package on npm names. */
function electronArchive(download) {
  const electron = join(root, 'node_modules/electron');
  if (!existsSync(electron)) throw new Refusal('The package electron is not installed. Run `npm ci` first.');
  const { version } = JSON.parse(readFileSync(join(electron, 'package.json'), 'utf8'));
  const name = `electron-v${version}-${process.platform}-${process.arch}.zip`;
  const places = [process.env.TRIBUTARY_ELECTRON, electronCache()].filter(
    (folder) => folder && existsSync(folder),
  );
  const path = places
    .flatMap((folder) => readdirSync(folder, { recursive: true }).map((file) => join(folder, file)))
    .find((file) => basename(file) === name);
  if (path === undefined) {
    if (download) return undefined;
    throw new Refusal(
      `Electron's archive ${name} is not on this machine. Put it into a folder and name that in TRIBUTARY_ELECTRON, ` +
        'or add --download to fetch it. docs/packaging.md says how a machine without the internet is prepared.',
    );
  }
  const expected = JSON.parse(readFileSync(join(electron, 'checksums.json'), 'utf8'))[name];
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (found === expected) return path;
  throw new Refusal(`${path} has sha256 ${found}, but the package electron ${version} names ${expected}.`);
}

/** Where @electron/get keeps what it fetched. */
function electronCache() {
  if (process.platform === 'darwin') return join(homedir(), 'Library/Caches/electron');
  if (process.platform === 'win32') return join(process.env.LOCALAPPDATA ?? homedir(), 'electron/Cache');
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'electron');
}

/** Electron's own welcome, which electron-builder leaves in an archive that it was given. */
async function removeDefaultApp({ appOutDir, packager }) {
  await rm(join(packager.getResourcesDir(appOutDir), 'default_app.asar'), { force: true });
}

/** better-sqlite3 is compiled for Electron while the package is made, and is Node's again afterwards. */
async function withNodesSqlite(work) {
  const binary = join(root, 'node_modules/better-sqlite3/build/Release/better_sqlite3.node');
  const kept = readFileSync(binary);
  try {
    return await work();
  } finally {
    rmSync(binary, { force: true });
    writeFileSync(binary, kept, { mode: 0o755 });
  }
}

function run(command, words) {
  const options = { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' };
  if (spawnSync(command, words, options).status !== 0)
    throw new Refusal(`\`${command} ${words.join(' ')}\` failed.`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Refusal) && error?.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw error;
  console.error(error.message);
  process.exitCode = 1;
}
