import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TrainerProcess } from '../../core/training/client.ts';
import type { Example } from '../../core/training/examples.ts';
import type { Notice } from '../../core/training/observer.ts';
import { trainWithRestarts } from '../../core/training/restart.ts';
import type { TrainRequest } from '../../core/training/requests.ts';
import { temporaryFolder } from '../model/fixtures.ts';

// The process is the built program; `npm test` builds first. Each test starts several.
vi.setConfig({ testTimeout: 180_000 });

process.env['TRIBUTARY_HOME'] = temporaryFolder();

const lora = { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] };
const examples: Example[] = Array.from({ length: 7 }, (_, index) => ({
  kind: 'conversation',
  messages: [
    { role: 'user', content: `Room ${index}?` },
    { role: 'assistant', content: 'Warm.' },
  ],
}));
const request: TrainRequest = {
  examples,
  template: 'chat',
  maxLength: 96,
  batchSize: 2,
  steps: 8,
  learningRate: 5e-3,
  weightDecay: 0,
  maxGradientNorm: 1,
  seedParts: [7],
};

const scratch: string[] = [];
afterEach(() => {
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true });
});

function checkpoints(everySteps: number) {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-restart-'));
  scratch.push(folder);
  return { folder, everySteps };
}

/** Trains, and kills the engine with SIGKILL whenever `kills` says so of a step that was reported. */
async function train(asked: TrainRequest, kills: (step: number, processes: number) => boolean) {
  const processes: TrainerProcess[] = [];
  const notices: Notice[] = [];
  const start = async (trainer: TrainerProcess) => {
    processes.push(trainer);
    await trainer.call('open', { model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
    await trainer.call('startAdapter', { configuration: lora, seed: 7 });
  };
  const { trainer, trained } = await trainWithRestarts(
    { start, request: asked },
    {
      report: ({ step }) => {
        const pid = processes.at(-1)?.pid;
        if (kills(step, processes.length) && pid !== undefined) process.kill(pid, 'SIGKILL');
      },
      notice: (notice) => notices.push(notice),
    },
  );
  const adapter = await trainer.call('adapter', null);
  await trainer.close();
  return { trained, adapter, notices, processes: processes.length };
}

const never = () => false;

describe('a training whose engine is killed', () => {
  it('says so, goes on from the last checkpoint and ends with the same bytes', async () => {
    const whole = await train(request, never);
    const steps = Array.from({ length: 4 }, (_, index) => 2 * index + 1);
    // Killed once in each process but the last, each time after another step.
    const asked = { ...request, checkpoints: checkpoints(2) };
    const killed = await train(asked, (step, processes) => step === steps[processes - 1] && step < 7);
    expect(killed.processes).toBeGreaterThanOrEqual(2);
    expect(killed.adapter).toEqual(whole.adapter);
    const losses = (of: typeof whole) => of.trained.steps.map(({ step, loss }) => [step, loss]);
    expect(losses(killed)).toEqual(losses(whole));
    const restarts = killed.notices.filter(({ event }) => event === 'engine-restarted');
    expect(restarts).toHaveLength(killed.processes - 1);
    expect(restarts[0].message).toBe(
      'The training process ended unexpectedly (signal SIGKILL). It is started again (1 of 3 times at most from one checkpoint to the next).',
    );
  });

  it('begins anew where no checkpoint was made yet', async () => {
    const whole = await train(request, never);
    const asked = { ...request, checkpoints: checkpoints(100) };
    const killed = await train(asked, (step, processes) => step === 3 && processes === 1);
    expect(killed.processes).toBe(2);
    expect(killed.adapter).toEqual(whole.adapter);
  });

  it('gives up when it is killed again and again from one checkpoint to the next', async () => {
    let processes = 0;
    const asked = { ...request, steps: 5_000, checkpoints: checkpoints(10_000) };
    const killed = train(asked, (step, started) => {
      processes = started;
      return step >= 1;
    });
    await expect(killed).rejects.toMatchObject({ code: 'engine.crashed' });
    expect(processes).toBe(4);
  });

  it('is not started again without checkpoints', async () => {
    const killed = train({ ...request, steps: 5_000 }, (step, processes) => {
      expect(processes).toBe(1);
      return step === 2;
    });
    await expect(killed).rejects.toMatchObject({ code: 'engine.crashed' });
  });
});

it('leaves another training’s checkpoints alone, whatever happens', async () => {
  const place = checkpoints(2);
  const first = await train({ ...request, checkpoints: place }, never);
  const other = { ...request, learningRate: 1e-3, checkpoints: { ...place, start: 'resume' as const } };
  await expect(train(other, never)).rejects.toMatchObject({ code: 'checkpoint.other-training' });
  const again = await train({ ...request, checkpoints: { ...place, start: 'resume' } }, never);
  expect(again.adapter).toEqual(first.adapter);
});
