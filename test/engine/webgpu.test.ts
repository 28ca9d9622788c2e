import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../core/programs.ts';
import type { WebGpuReport } from './webgpu-check.ts';

/** A graphics driver that computes on the processor; see `.ci/swiftshader`. */
const swiftshader = process.env['TRIBUTARY_SWIFTSHADER'];
const driver = swiftshader && join(swiftshader, 'vk_swiftshader_icd.json');
const present = driver !== undefined && existsSync(driver);
const note = present
  ? ''
  : ' (skipped: TRIBUTARY_SWIFTSHADER does not name the folder that .ci/swiftshader prints)';

/** Runs the check in a process of its own, in which the driver is the only one. */
async function check(): Promise<WebGpuReport[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'tributary-xdg-'));
  const env = {
    ...process.env,
    XDG_RUNTIME_DIR: scratch,
    VK_ICD_FILENAMES: driver,
    LD_LIBRARY_PATH: swiftshader,
  };
  try {
    const child = spawn(process.execPath, [programPath('test/webgpu-check')], { env });
    let [printed, complaints] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    const status = await new Promise((resolve) =>
      child.on('close', (code, signal) => resolve(code ?? signal)),
    );
    if (status !== 0) throw new Error(`the check ended with ${String(status)}: ${complaints}`);
    return JSON.parse(printed) as WebGpuReport[];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

describe.skipIf(!present)(`WebGPU${note}`, () => {
  let reports: WebGpuReport[] = [];
  beforeAll(async () => {
    reports = await check();
  }, 1_800_000);

  it.each([
    'training at f32',
    'training at int4',
    'training with dropout',
    'training on preferences',
    'scores',
  ])('computes in %s what the CPU computes, and leaves no node to it', (name) => {
    const report = reports.find((one) => one.name === name);
    expect(report?.nodes).toEqual({ WebGpuExecutionProvider: expect.any(Array) as unknown });
    const wrong = Object.entries(report?.differences ?? { nothing: NaN }).filter(
      ([, value]) => !(value < 1e-3),
    );
    expect(wrong).toEqual([]);
  });
});
