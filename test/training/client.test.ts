import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { TrainerProcess } from '../../core/training/client.ts';
import { programPath } from '../../core/programs.ts';
import type { Example } from '../../core/training/examples.ts';
import type { ToTrainer } from '../../core/training/protocol.ts';
import type { StepReport, TrainRequest } from '../../core/training/requests.ts';
import { temporaryFolder } from '../model/fixtures.ts';

// The process is the built program; `npm test` builds first.

const home = temporaryFolder();
process.env['TRIBUTARY_HOME'] = home;

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const tiny = { model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 } as const;
const examples: Example[] = Array.from({ length: 8 }, (_, index) => ({
  kind: 'conversation',
  messages: [
    { role: 'user', content: `How warm is room ${index}?` },
    { role: 'assistant', content: 'It is warm.' },
  ],
}));
const request = {
  examples,
  template: 'chat',
  maxLength: 128,
  batchSize: 4,
  steps: 4,
  learningRate: 1e-2,
  weightDecay: 0,
  maxGradientNorm: 1,
  seedParts: [7, 0, 'clinic'],
} satisfies TrainRequest;

const started: TrainerProcess[] = [];
afterEach(async () => {
  for (const process of started.splice(0)) await process.close();
});

function start(): TrainerProcess {
  const trainer = new TrainerProcess();
  started.push(trainer);
  return trainer;
}

async function openTiny(): Promise<TrainerProcess> {
  const trainer = start();
  await trainer.call('open', tiny);
  const tensors = initialAdapter(TINY_CONFIGURATION, lora, 7);
  await trainer.call('setAdapter', { configuration: lora, tensors });
  return trainer;
}

/** The error a promise rejects with. */
async function errorOf(promise: Promise<unknown>): Promise<TributaryError> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof TributaryError) return error;
  throw error;
}

function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the training process', () => {
  it('opens, trains, evaluates, generates and hands out the adapter', async () => {
    const trainer = start();
    const opened = await trainer.call('open', tiny);
    expect(opened).toMatchObject({ identity: { id: 'tiny' }, precision: 'f32', device: 'cpu' });
    const tensors = initialAdapter(TINY_CONFIGURATION, lora, 7);
    await trainer.call('setAdapter', { configuration: lora, tensors });
    const before = await trainer.call('evaluate', { ...request, batchSize: 4 });
    const reports: StepReport[] = [];
    const report = (step: StepReport) => reports.push(step);
    const result = await trainer.call('train', { ...request, steps: 40 }, { report });
    expect(reports).toEqual(result.steps);
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect((await trainer.call('evaluate', { ...request, batchSize: 4 })).loss).toBeLessThan(before.loss - 1);
    const texts: string[] = [];
    const answer = await trainer.call(
      'generate',
      {
        messages: [{ role: 'user', content: 'How warm is room 2?' }],
        template: 'chat',
        maxTokens: 12,
        seed: 1,
        temperature: 0,
        topK: 0,
        topP: 1,
      },
      { report: ({ delta }) => texts.push(delta) },
    );
    expect(answer.text).toBe('It is warm.');
    expect(texts.join('')).toBe(answer.text);
    expect(texts).toHaveLength(answer.tokens);
    const adapter = await trainer.call('adapter', null);
    expect([...(adapter ?? [])].map(([name]) => name)).toEqual([...tensors.keys()]);
    const changed = [...(adapter ?? [])].filter(
      ([name, { data }]) => data.join() !== tensors.get(name)?.data.join(),
    );
    expect(changed).toHaveLength(tensors.size);
    expect(await trainer.call('memory', null)).toBeGreaterThan(20e6);
  });

  it('leaves the caller free while it works', async () => {
    const trainer = await openTiny();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const atStep: number[] = [];
    await trainer.call('train', { ...request, steps: 60 }, { report: () => atStep.push(ticks) });
    clearInterval(timer);
    expect((atStep.at(-1) ?? 0) - atStep[0]).toBeGreaterThanOrEqual(5);
    expect(new Set(atStep).size).toBeGreaterThanOrEqual(5);
  });

  it('passes on errors with their code, sentence and hint, and goes on', async () => {
    const trainer = start();
    const missing = await errorOf(trainer.call('open', { ...tiny, model: 'smollm2-135m-instruct' }));
    expect(missing.code).toBe('model.not-found');
    expect(missing.message).toContain(home);
    expect(missing.hint).toContain('tributary models fetch smollm2-135m-instruct');
    expect((await errorOf(trainer.call('train', request))).code).toBe('internal.unexpected');
    await trainer.call('open', tiny);
    await errorOf(trainer.call('open', { ...tiny, model: 'smollm2-135m-instruct' }));
    expect((await errorOf(trainer.call('setAdapter', null))).message).toBe('no model is open');
    await trainer.call('open', tiny);
    const other = initialAdapter({ ...TINY_CONFIGURATION, hiddenSize: 32 }, lora, 1);
    const wrong = await errorOf(trainer.call('setAdapter', { configuration: lora, tensors: other }));
    expect(wrong.code).toBe('adapter.other-base');
    await trainer.call('setAdapter', null);
    const short = await errorOf(trainer.call('evaluate', { ...request, maxLength: 3, batchSize: 4 }));
    expect(short.code).toBe('data.all-truncated');
    expect(short.hint).toContain('--max-length');
    expect((await trainer.call('evaluate', { ...request, batchSize: 4 })).loss).toBeGreaterThan(0);
  });

  it('stops between steps when asked to, keeps its adapter and goes on', async () => {
    const trainer = await openTiny();
    const controller = new AbortController();
    let last = 0;
    const report = ({ step }: StepReport) => {
      last = step;
      if (step === 2) controller.abort();
    };
    const stopped = trainer.call(
      'train',
      { ...request, steps: 5_000 },
      { report, signal: controller.signal },
    );
    expect((await errorOf(stopped)).code).toBe('training.stopped');
    expect(last).toBeGreaterThanOrEqual(2);
    expect((await trainer.call('train', request)).steps).toHaveLength(4);
  });

  it.each(['SIGINT', 'SIGTERM'])('leaves a %s to all processes to its caller', async (signal) => {
    const trainer = await openTiny();
    const report = ({ step }: StepReport) =>
      step === 1 && trainer.pid !== undefined && process.kill(trainer.pid, signal);
    expect((await trainer.call('train', { ...request, steps: 40 }, { report })).steps).toHaveLength(40);
  });

  it('does not begin what was stopped before', async () => {
    const trainer = await openTiny();
    const before = await trainer.call('adapter', null);
    const stopped = trainer.call('train', request, { signal: AbortSignal.abort() });
    expect((await errorOf(stopped)).code).toBe('training.stopped');
    expect(await trainer.call('adapter', null)).toEqual(before);
  });
});

describe('when the training process ends', () => {
  it('by a kill, the work is refused, the caller lives and a new process works', async () => {
    const trainer = await openTiny();
    const killed = trainer.call(
      'train',
      { ...request, steps: 5_000 },
      {
        report: ({ step }) => step === 2 && trainer.pid !== undefined && process.kill(trainer.pid, 'SIGKILL'),
      },
    );
    const error = await errorOf(killed);
    expect(error.code).toBe('engine.crashed');
    expect(error.message).toContain('SIGKILL');
    expect(error.retryable).toBe(true);
    expect((await errorOf(trainer.call('memory', null))).code).toBe('engine.crashed');
    await trainer.close();
    const next = await openTiny();
    expect((await next.call('train', request)).steps).toHaveLength(4);
  });

  it('by close, it is gone and what was running is stopped', async () => {
    const trainer = await openTiny();
    const { pid } = trainer;
    let begun: () => void = () => undefined;
    const firstStep = new Promise<void>((resolve) => (begun = resolve));
    const running = errorOf(trainer.call('train', { ...request, steps: 5_000 }, { report: () => begun() }));
    await firstStep;
    expect(isAlive(pid)).toBe(true);
    await trainer.close();
    expect(isAlive(pid)).toBe(false);
    expect((await running).code).toBe('training.stopped');
    expect((await errorOf(trainer.call('memory', null))).code).toBe('training.stopped');
    await trainer.close();
  });

  it('because the caller is gone, it says nothing', async () => {
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
    const child = fork(programPath('training-process'), [], { serialization: 'advanced', stdio: [...stdio] });
    const said = Promise.all([child.stdout, child.stderr].map((stream) => text(Readable.from(stream ?? []))));
    const ended = once(child, 'exit');
    const ask = (question: ToTrainer) => child.send(question);
    ask({ type: 'call', id: 0, name: 'open', question: tiny });
    await once(child, 'message');
    const tensors = initialAdapter(TINY_CONFIGURATION, lora, 7);
    ask({ type: 'call', id: 1, name: 'setAdapter', question: { configuration: lora, tensors } });
    await once(child, 'message');
    ask({ type: 'call', id: 2, name: 'train', question: { ...request, steps: 5_000 } });
    await once(child, 'message');
    child.disconnect();
    expect(await ended).toEqual([0, null]);
    expect(await said).toEqual(['', '']);
  });
});
