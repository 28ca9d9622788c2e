/** @file Where graphs run: which devices there are, which can be used here, and which is chosen. */

import { existsSync } from 'node:fs';

import { z } from 'zod';

import { startChild } from '../child-programs.ts';
import { TributaryError } from '../errors.ts';

/** What Tributary computes on; the CPU is always there. */
export const DEVICES = ['cpu', 'webgpu', 'cuda', 'directml', 'coreml'] as const;
export type Device = (typeof DEVICES)[number];

/** `auto` stands for the fastest one that works. */
export type RequestedDevice = Device | 'auto';

/** ONNX Runtime's names of the providers. */
export const PROVIDERS: Readonly<Record<Device, string>> = {
  cpu: 'cpu',
  webgpu: 'webgpu',
  cuda: 'cuda',
  directml: 'dml',
  coreml: 'coreml',
};

const probed = z.union([
  z.object({ device: z.enum(DEVICES), milliseconds: z.number(), cpuMilliseconds: z.number() }),
  z.object({ device: z.enum(DEVICES), problem: z.string() }),
]);

/** What trying a device showed: how long a chain of matrix products takes there and on the CPU, or why it fails. */
export type Probe = z.output<typeof probed>;

/** A device has to be so many times as fast as the CPU to be chosen, so that the choice is the same every time. */
const CLEARLY_FASTER = 1.5;

export interface DeviceChoice {
  readonly device: Device;
  /** One or two sentences: what was tried, what it showed, what is used. */
  readonly reason: string;
}

/**
 * Tries devices, each by computing on it, in a process of its own: a driver that crashes takes that process along and
 * no other.
 * @param devices those to be tried, by default all that this build of ONNX Runtime has a provider for
 * @param environment of that process
 */
export async function probeDevices(
  devices?: readonly Device[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Probe[]> {
  const found: Probe[] = [];
  let left = devices ?? (await offeredDevices());
  if (!devices && !mayHaveGraphics(environment)) {
    return left.map((device) => ({ device, problem: NO_GRAPHICS }));
  }
  while (left.length > 0) {
    const { answers, end } = await runProbe(left, environment);
    found.push(...answers);
    left = left.filter((device) => !answers.some((answer) => answer.device === device));
    // Whatever it was trying when it ended early is the one that ended it.
    if (left.length > 0) {
      found.push({ device: left[0], problem: `trying it ended the process (${end})` });
      left = left.slice(1);
    }
  }
  return found;
}

/** What a device says that finds nothing to compute on. */
export const NO_GRAPHICS = 'no graphics card with a driver was found';

/** The files by which Linux shows a graphics card: of its own drivers, NVIDIA's, AMD's and those of WSL. */
const GRAPHICS_FILES = ['/dev/dri', '/dev/nvidiactl', '/dev/kfd', '/dev/dxg'];

/**
 * Whether a graphics card could be here. Trying devices takes a second or two of every start, which a machine without
 * a card need not spend; where it cannot be told, they are tried.
 */
function mayHaveGraphics({ VK_ICD_FILENAMES, VK_DRIVER_FILES }: NodeJS.ProcessEnv): boolean {
  if (process.platform !== 'linux' || VK_ICD_FILENAMES || VK_DRIVER_FILES) return true;
  return GRAPHICS_FILES.some((file) => existsSync(file));
}

/** Devices other than the CPU that this build of ONNX Runtime names; whether they work, a probe shows. */
export async function offeredDevices(): Promise<Device[]> {
  const { default: runtime } = await import('onnxruntime-node');
  const names = runtime.listSupportedBackends().map(({ name }) => name);
  return DEVICES.filter((device) => device !== 'cpu' && names.includes(PROVIDERS[device]));
}

/**
 * The device to compute on.
 * @param probe tries devices; all that are offered when it is given none
 * @throws TributaryError `engine.device-unavailable` when one was asked for by name and cannot be used
 */
export async function chooseDevice(
  requested: RequestedDevice,
  probe: (devices?: readonly Device[]) => Promise<readonly Probe[]> = probeDevices,
): Promise<DeviceChoice> {
  if (requested === 'cpu') return { device: 'cpu', reason: 'The CPU computes, as was asked for.' };
  if (requested === 'auto') return fastest(await probe());
  const [found] = await probe([requested]);
  if ('problem' in found) {
    throw new TributaryError(
      'engine.device-unavailable',
      `${requested} was asked for and cannot be used: ${found.problem}.`,
    );
  }
  return { device: requested, reason: `${requested} computes, as was asked for; ${timing(found)}.` };
}

function fastest(probes: readonly Probe[]): DeviceChoice {
  const working = probes
    .flatMap((one) => ('problem' in one ? [] : [one]))
    .sort((a, b) => a.milliseconds - b.milliseconds);
  const best = working.find((one) => one.milliseconds * CLEARLY_FASTER <= one.cpuMilliseconds);
  if (best) return { device: best.device, reason: `${best.device} was chosen: ${timing(best)}.` };
  const reasons = probes.map((one) =>
    'problem' in one
      ? `${one.device} cannot be used: ${one.problem}`
      : `${one.device} is not clearly faster: ${timing(one)}`,
  );
  return { device: 'cpu', reason: `The CPU computes. ${reasons.map((text) => `${text}.`).join(' ')}`.trim() };
}

/** How a device that works compares with the CPU. */
export function timing({
  device,
  milliseconds,
  cpuMilliseconds,
}: Exclude<Probe, { problem: string }>): string {
  return `a chain of matrix products took ${milliseconds.toFixed(0)} ms on ${device} and ${cpuMilliseconds.toFixed(0)} ms on the CPU`;
}

function runProbe(
  devices: readonly Device[],
  environment: NodeJS.ProcessEnv,
): Promise<{ answers: Probe[]; end: string }> {
  const answers: Probe[] = [];
  return new Promise((resolve) => {
    const child = startChild('device-probe', {
      ...{ words: devices, environment },
      // What drivers and ONNX Runtime complain of is for nobody to read: the answers say it in short.
      silent: true,
      onMessage: (message) => {
        if (message === null) child.leave();
        else answers.push(probed.parse(message));
      },
      onEnd: (end) => resolve({ answers, end }),
    });
  });
}
