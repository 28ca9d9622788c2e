/** @file Public datasets as a window asks for them: the list, a download told while it goes on, a failure with its place. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Task } from '../../core/bridge/contract/task.ts';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { publicDataHandlers } from '../../core/bridge/site/public-data.ts';
import { createTasks } from '../../core/bridge/tasks.ts';
import { createNetwork } from '../../core/network/network.ts';

let home: string;
let dispatcher: Dispatcher;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tributary-public-'));
  vi.stubEnv('TRIBUTARY_HOME', home);
  // Nobody listens there.
  vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
  const tasks = createTasks((event, body) => dispatcher.emit(event, body));
  dispatcher = createDispatcher(() => publicDataHandlers({ tasks, network: createNetwork() }));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

async function ask(name: string, input: object): Promise<Record<string, unknown>> {
  const answer = await dispatcher.answer(name, input);
  if ('error' in answer) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer.output as Record<string, unknown>;
}

/** Fetches and gives the task as it ended. */
async function fetched(dataset: string): Promise<Task> {
  const ended = new Promise<Task>((resolve) => {
    const stop = dispatcher.listen((event, body) => {
      const task = body as Task;
      if (event !== 'task' || task.state === 'running') return;
      stop();
      resolve(task);
    });
  });
  await ask('data.fetch', { dataset });
  return ended;
}

it('lists them with their licence, and says which are here and where they may be put by hand', async () => {
  const folder = join(home, 'datasets');
  mkdirSync(folder);
  writeFileSync(join(folder, 'gsm8k.jsonl'), '');
  const { datasets, folder: told } = await ask('data.public', {});
  expect(told).toBe(folder);
  const here = (datasets as { id: string; licence: string; path: string | null }[]).filter(
    ({ path }) => path,
  );
  expect(here).toMatchObject([{ id: 'gsm8k', licence: 'MIT', path: join(folder, 'gsm8k.jsonl') }]);
});

it('takes a file that lies there, and says where one belongs that cannot be reached', async () => {
  const folder = join(home, 'datasets');
  mkdirSync(folder);
  writeFileSync(join(folder, 'alpaca-gpt4.parquet'), 'as a person has put it there');
  expect(await fetched('alpaca-gpt4')).toMatchObject({
    kind: 'data',
    state: 'done',
    result: { path: join(folder, 'alpaca-gpt4.parquet') },
  });
  const failed = await fetched('alpaca');
  expect(failed).toMatchObject({ state: 'failed', subject: 'alpaca', error: { code: 'data.not-reachable' } });
  expect(failed.error?.hint).toContain(join(folder, 'alpaca.parquet'));
  await expect(ask('data.fetch', { dataset: 'nothing' })).rejects.toMatchObject({ code: 'data.unknown-set' });
});
