import { describe, expect, it } from 'vitest';
import { chooseDevice, probeDevices, type Device, type Probe } from '../../core/engine/devices.ts';
import { devices } from '../../main/cli/diagnosis.ts';

const works = (device: Device, milliseconds: number): Probe => ({
  device,
  milliseconds,
  cpuMilliseconds: 90,
});
const fails = (device: Device): Probe => ({ device, problem: 'its library is not installed' });
const showing =
  (...probes: Probe[]) =>
  (asked?: readonly Device[]) =>
    Promise.resolve(asked ? probes.filter(({ device }) => asked.includes(device)) : probes);

describe('the choice of a device', () => {
  it('asks nothing where the CPU was asked for', async () => {
    const { device } = await chooseDevice('cpu', () => Promise.reject(new Error('must not be asked')));
    expect(device).toBe('cpu');
  });

  it('takes the fastest that works, and says by how much', async () => {
    const probe = showing(fails('cuda'), works('webgpu', 30), works('directml', 20));
    const { device, reason } = await chooseDevice('auto', probe);
    expect(device).toBe('directml');
    expect(reason).toBe(
      'directml was chosen: a chain of matrix products took 20 ms on directml and 90 ms on the CPU.',
    );
  });

  it('keeps to the CPU where nothing is clearly faster, and says why of each', async () => {
    const { device, reason } = await chooseDevice('auto', showing(works('webgpu', 80), fails('cuda')));
    expect(device).toBe('cpu');
    expect(reason).toBe(
      'The CPU computes. webgpu is not clearly faster: a chain of matrix products took 80 ms on webgpu and 90 ms on ' +
        'the CPU. cuda cannot be used: its library is not installed.',
    );
  });

  it('takes one that was asked for by name though it is slow, and refuses one that does not work', async () => {
    const probe = showing(works('webgpu', 500), fails('cuda'));
    expect((await chooseDevice('webgpu', probe)).device).toBe('webgpu');
    await expect(chooseDevice('cuda', probe)).rejects.toMatchObject({
      code: 'engine.device-unavailable',
      message: 'cuda was asked for and cannot be used: its library is not installed.',
    });
  });

  it('is told by doctor together with what was tried', async () => {
    const findings = await devices(() => Promise.resolve([fails('cuda'), works('webgpu', 30)]));
    expect(findings.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      'cuda: cuda cannot be used: its library is not installed.',
      'webgpu: webgpu works: a chain of matrix products took 30 ms on webgpu and 90 ms on the CPU.',
      'device: With --device auto webgpu was chosen: a chain of matrix products took 30 ms on webgpu and 90 ms on the CPU.',
    ]);
  });
});

describe('trying devices', () => {
  it('says in short what is wrong with one whose driver is not there', async () => {
    // Whatever graphics card this machine has is out of sight.
    const environment = {
      ...process.env,
      VK_ICD_FILENAMES: '/nowhere.json',
      VK_DRIVER_FILES: '/nowhere.json',
    };
    const [found] = await probeDevices(['cuda'], environment);
    expect(found).toSatisfy((probe: Probe) => 'milliseconds' in probe || probe.problem.length < 200);
  });

  it('goes on with the next where one ends the process', async () => {
    // A device that no build knows makes the probe of it answer nothing.
    const probes = await probeDevices(['nonsense' as Device, 'cpu']);
    expect(probes.map(({ device }) => device).sort()).toEqual(['cpu', 'nonsense']);
    expect(probes.find(({ device }) => device === 'cpu')).toHaveProperty('milliseconds');
    expect(probes.find(({ device }) => device !== 'cpu')).toEqual({
      device: 'nonsense',
      problem: 'trying it ended the process (status 0)',
    });
  });
});
