/** @file What `doctor` looks at: whether this machine has what Tributary needs, a sentence each. */

import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { chooseDevice, probeDevices, timing } from '../../core/engine/devices.ts';
import { formatBytes } from '../../core/sizes.ts';

export interface Finding {
  readonly name: string;
  /** `problem`: something will not work; `warning`: it will, but slowly or not for long. */
  readonly verdict: 'ok' | 'warning' | 'problem';
  readonly text: string;
}

/** Training the bundled model needs about this much memory, in bytes. */
const NEEDED_MEMORY = 2e9;
/** Room for the bundled model, a run's adapters and databases, in bytes. */
const NEEDED_DISK = 1e9;

/** Looks at everything; `modelFolder` is where fetched models are kept. */
export async function diagnose(modelFolder: string): Promise<Finding[]> {
  return [
    nodeVersion(process.versions.node),
    await engine(),
    ...(await devices()),
    await database(),
    cores(availableParallelism()),
    memory(totalmem(), freemem()),
    disk(modelFolder),
    writable(modelFolder),
  ];
}

export function nodeVersion(version: string): Finding {
  const [major, minor] = version.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return fits
    ? { name: 'node', verdict: 'ok', text: `Node.js ${version} is new enough.` }
    : { name: 'node', verdict: 'problem', text: `Node.js ${version} is too old; install 20.19 or newer.` };
}

async function engine(): Promise<Finding> {
  try {
    const { default: runtime } = await import('onnxruntime-node');
    const backends = runtime
      .listSupportedBackends()
      .filter(({ bundled }) => bundled)
      .map(({ name }) => name);
    return { name: 'engine', verdict: 'ok', text: `ONNX Runtime loads, with ${backends.join(', ')}.` };
  } catch (error) {
    return { name: 'engine', verdict: 'problem', text: `ONNX Runtime does not load: ${reason(error)}.` };
  }
}

/** What each device other than the CPU showed when it was tried, and what `auto` stands for. */
export async function devices(probe = probeDevices): Promise<Finding[]> {
  try {
    const probes = await probe();
    const choice = await chooseDevice('auto', () => Promise.resolve(probes));
    const tried = probes.map((one): Finding => {
      const text =
        'problem' in one
          ? `${one.device} cannot be used: ${one.problem}.`
          : `${one.device} works: ${timing(one)}.`;
      return { name: one.device, verdict: 'ok', text };
    });
    const chosen =
      choice.device === 'cpu'
        ? 'With --device auto the CPU computes.'
        : `With --device auto ${choice.reason}`;
    return [...tried, { name: 'device', verdict: 'ok', text: chosen }];
  } catch (error) {
    return [{ name: 'device', verdict: 'warning', text: `No device could be tried: ${reason(error)}.` }];
  }
}

async function database(): Promise<Finding> {
  try {
    const { default: Database } = await import('better-sqlite3');
    const connection = new Database(':memory:');
    const version: unknown = connection.prepare('SELECT sqlite_version()').pluck().get();
    connection.close();
    return { name: 'database', verdict: 'ok', text: `SQLite ${String(version)} loads.` };
  } catch (error) {
    const text = `SQLite does not load: ${reason(error)}. Install a C++ compiler, make and Python 3, then run npm ci again.`;
    return { name: 'database', verdict: 'problem', text };
  }
}

function cores(count: number): Finding {
  return count > 1
    ? { name: 'cores', verdict: 'ok', text: `${count} processor cores.` }
    : { name: 'cores', verdict: 'warning', text: 'One processor core: training works, slowly.' };
}

export function memory(total: number, free: number): Finding {
  const text = `${formatBytes(total)} of memory, ${formatBytes(free)} free`;
  return total >= NEEDED_MEMORY
    ? { name: 'memory', verdict: 'ok', text: `${text}.` }
    : {
        name: 'memory',
        verdict: 'warning',
        text: `${text}; models may not fit into less than ${formatBytes(NEEDED_MEMORY)}.`,
      };
}

function disk(folder: string): Finding {
  const { bavail, bsize } = statfsSync(existingParent(folder));
  const free = bavail * bsize;
  const text = `${formatBytes(free)} free on the disk of ${folder}`;
  return free >= NEEDED_DISK
    ? { name: 'disk', verdict: 'ok', text: `${text}.` }
    : {
        name: 'disk',
        verdict: 'warning',
        text: `${text}; a run may need up to ${formatBytes(NEEDED_DISK)}.`,
      };
}

function writable(folder: string): Finding {
  const parent = existingParent(folder);
  try {
    accessSync(parent, constants.W_OK | constants.X_OK);
    return { name: 'models', verdict: 'ok', text: `Models are kept in ${folder}, which can be written.` };
  } catch {
    return {
      name: 'models',
      verdict: 'problem',
      text: `${parent} cannot be written, so no model can be kept there.`,
    };
  }
}

function existingParent(folder: string): string {
  return existsSync(folder) ? folder : existingParent(dirname(folder));
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0] : String(error);
}
