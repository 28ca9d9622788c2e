import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { captureOutput, run } from './capture.ts';

// The commands are the built program; `npm test` builds first. Each test starts several.
vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'tributary-train-'));
afterAll(() => rmSync(folder, { recursive: true }));
process.env['TRIBUTARY_HOME'] = join(folder, 'home');

const data = join(folder, 'rows.jsonl');
writeFileSync(
  data,
  Array.from({ length: 9 }, (_, index) =>
    JSON.stringify({
      instruction: `How warm is room ${index}?`,
      response: index % 2 ? 'Warm.' : 'Cold there.',
    }),
  ).join('\n'),
);
const words = [
  'train',
  '--model',
  'tiny',
  '--data',
  data,
  '--max-length',
  '96',
  '--rank',
  '2',
  '--batch',
  '2',
];
const tributary = join(import.meta.dirname, '../../main/cli/bin.js');

interface Event {
  readonly type: string;
  readonly step: number;
}

/** Runs the program and lets `on` see each event of it, with a way to send it a signal. */
async function start(
  more: readonly string[],
  on: (event: Event, send: (signal: NodeJS.Signals) => void) => void = () => undefined,
) {
  const child = spawn(process.execPath, [tributary, ...words, '--json', ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const error = text(child.stderr);
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    on(JSON.parse(line) as Event, (signal) => child.kill(signal));
  }
  const [status, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  return { status, signal, error: await error };
}

const tensors = (out: string) => readFileSync(join(folder, out, 'adapter_model.safetensors'));

describe('train with checkpoints', () => {
  const output = captureOutput();
  const steps = ['--steps', '40'];
  const whole = start([...steps, '--out', join(folder, 'whole')]);

  it('goes on after a kill of the program itself, to the same bytes', async () => {
    const place = join(folder, 'killed');
    const every = ['--checkpoints', place, '--checkpoint-every', '3'];
    const killed = await start([...steps, ...every], ({ type, step }, send) => {
      if (type === 'step' && step === 11) send('SIGKILL');
    });
    expect(killed.signal).toBe('SIGKILL');
    const resumed: Event[] = [];
    const out = join(folder, 'resumed');
    const rest = await start([...steps, ...every, '--resume', '--out', out], (event) => resumed.push(event));
    expect(rest).toEqual({ status: 0, signal: null, error: '' });
    const from = resumed.find(({ type }) => type === 'resumed')?.step ?? NaN;
    expect(from).toBeGreaterThanOrEqual(9);
    expect(resumed.find(({ type }) => type === 'step')?.step).toBe(from + 1);
    await whole;
    expect(tensors('resumed').equals(tensors('whole'))).toBe(true);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'finishes its step at a %s, saves and says how to go on',
    async (signal) => {
      const place = join(folder, signal);
      const every = ['--checkpoints', place, '--checkpoint-every', '1h'];
      const stopped = await start([...steps, ...every], ({ type, step }, send) => {
        if (type === 'step' && step === 4) send(signal);
      });
      const [name, ...others] = readdirSync(place);
      expect(others).toEqual([]);
      const step = Number(/^step-(\d+)$/.exec(name)?.[1]);
      expect(step).toBeGreaterThanOrEqual(4);
      expect(stopped.status).toBe(1);
      expect(stopped.error).toBe(
        `training.stopped: The training was stopped after step ${step} of 40; its checkpoint is ${join(place, name)}. ` +
          'Repeat the command with --resume to go on from there.\n',
      );
      const rest = await start([...steps, ...every, '--resume', '--out', join(folder, `${signal}-out`)]);
      expect(rest.status).toBe(0);
      await whole;
      expect(tensors(`${signal}-out`).equals(tensors('whole'))).toBe(true);
    },
  );

  it('stops at once at the second signal', async () => {
    const place = join(folder, 'twice');
    const every = ['--checkpoints', place, '--checkpoint-every', '1h', '--steps', '100000'];
    const stopped = await start(every, ({ type, step }, send) => {
      if (type !== 'step' || step !== 2) return;
      send('SIGINT');
      send('SIGTERM');
    });
    expect([130, 143, 1]).toContain(stopped.status);
    expect(existsSync(place)).toBe(true);
  });

  it('wants a folder to resume from, and an interval it understands', async () => {
    expect(await run(...words, '--resume')).toBe(2);
    expect(output.error).toContain('it needs the folder of --checkpoints');
    expect(await run(...words, '--checkpoints', folder, '--checkpoint-every', '5x')).toBe(2);
    expect(output.error).toContain('expected steps, such as 10, or a time, such as 5m');
    expect(await run(...words, '--checkpoints', join(folder, 'nowhere'), '--resume')).toBe(1);
    expect(output.error).toContain('checkpoint.none');
  });
});
