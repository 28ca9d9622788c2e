/** @file Programs of the build as utility processes: the training process and the device probe, as Electron starts them. */

import { afterEach, beforeEach, expect, it } from 'vitest';
import { replaceStartChild } from '../../core/child-programs.ts';
import { probeDevices } from '../../core/engine/devices.ts';
import type { Device } from '../../core/engine/devices.ts';
import { TrainerProcess } from '../../core/training/client.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { utilityPrograms } from '../../main/desktop/utility-programs.ts';
import { World } from '../helpers/electron.ts';

let restore: () => void;
beforeEach(() => {
  restore = replaceStartChild(utilityPrograms(new World().electron.utilityProcess));
});
const started: TrainerProcess[] = [];
afterEach(async () => {
  for (const trainer of started.splice(0)) await trainer.close();
  restore();
});

function start(): TrainerProcess {
  const trainer = new TrainerProcess();
  started.push(trainer);
  return trainer;
}

/** Whether a process runs. */
function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

const tiny = { model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 } as const;
const lora = { rank: 2, alpha: 4, targets: 'all-linear' as const };
const question = {
  messages: [{ role: 'user' as const, content: 'Hello' }],
  ...{
    template: 'chat' as const,
    maxTokens: 200,
    temperature: 0,
    topK: 0,
    topP: 1,
    seed: 1,
    throughEnd: true,
  },
};

it('a training process answers, takes tensors and gives them back', async () => {
  const trainer = start();
  const { device } = await trainer.call('open', tiny);
  expect(device).toBe('cpu');
  const tensors = initialAdapter(TINY_CONFIGURATION, lora, 7);
  await trainer.call('setAdapter', { configuration: lora, tensors });
  expect(await trainer.call('adapter', null)).toEqual(tensors);
  const { pid } = trainer;
  expect(isAlive(pid)).toBe(true);
  await trainer.close();
  expect(isAlive(pid)).toBe(false);
});

it('its crash is told as one of the engine, and takes nothing else along', async () => {
  const trainer = start();
  await trainer.call('open', tiny);
  const { pid } = trainer;
  const asked = trainer.call('generate', question, {
    report: () => pid !== undefined && process.kill(pid, 'SIGKILL'),
  });
  await expect(asked).rejects.toMatchObject({ code: 'engine.crashed' });
});

it('devices are tried, and one that answers nothing is named', async () => {
  const probes = await probeDevices(['nonsense' as Device, 'cpu']);
  expect(probes.map(({ device }) => device).sort()).toEqual(['cpu', 'nonsense']);
  expect(probes.find(({ device }) => device === 'cpu')).toHaveProperty('milliseconds');
});
