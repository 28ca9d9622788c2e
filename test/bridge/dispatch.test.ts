/** @file The border between windows and the program: names, inputs and outputs, all checked in one place. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { requests } from '../../core/bridge/contract.ts';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import type { Handlers } from '../../core/bridge/dispatch.ts';
import { createTasks } from '../../core/bridge/tasks.ts';
import type { Task } from '../../core/bridge/contract/task.ts';
import { TributaryError } from '../../core/errors.ts';
import { until } from '../helpers/until.ts';

test('any name with any argument gives an answer or an error of the table, and no handler sees a wrong one', async () => {
  const names = Object.keys(requests);
  const seen: [string, unknown][] = [];
  const handlers = Object.fromEntries(
    names.map((name) => [name, (input: unknown) => void seen.push([name, input])]),
  ) as Handlers;
  const dispatcher = createDispatcher(() => handlers);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.constantFrom(...names),
        fc.constantFrom('__proto__', 'constructor', 'toString'),
        fc.anything(),
      ),
      fc.anything(),
      async (name, input) => {
        const answer = await dispatcher.answer(name, input);
        // Handlers give nothing back, which no output is.
        expect('error' in answer ? answer.error.code : answer).toMatch(
          /^(bridge\.(unknown-request|bad-input)|internal\.unexpected)$/,
        );
      },
    ),
    { numRuns: 500 },
  );
  for (const [name, input] of seen) {
    const { input: shape } = requests[name as keyof typeof requests];
    expect(shape.safeParse(input).success, name).toBe(true);
  }
});

test('unknown fields and oversized texts are refused by name', async () => {
  const dispatcher = createDispatcher(() => ({ 'task.cancel': () => ({}) }));
  expect(await dispatcher.answer('task.cancel', { task: 'a' })).toEqual({ output: {} });
  expect(await dispatcher.answer('task.cancel', { task: 'a', more: 1 })).toMatchObject({
    error: { code: 'bridge.bad-input' },
  });
  expect(await dispatcher.answer('task.cancel', { task: 'x'.repeat(1000) })).toMatchObject({
    error: { code: 'bridge.bad-input' },
  });
  expect(await dispatcher.answer('hub.status', {})).toMatchObject({
    error: { code: 'bridge.unknown-request' },
  });
});

test('an error for a person keeps its code and hint and carries no details', async () => {
  const dispatcher = createDispatcher(() => ({
    'task.cancel': () => {
      throw new TributaryError('policy.mode', 'It is not allowed.');
    },
  }));
  const answer = await dispatcher.answer('task.cancel', { task: 'a' });
  expect(answer).toEqual({
    error: {
      code: 'policy.mode',
      message: 'It is not allowed.',
      hint: expect.stringContaining('policy') as string,
    },
  });
});

test('a task is told from its beginning to its end, and a cancelled one says so', async () => {
  const told: Task[] = [];
  const tasks = createTasks((_, body) => void told.push(body as Task));
  const good = tasks.start({ kind: 'export', subject: 'x', unit: 'tensors' }, ({ progress }) => {
    progress({ done: 1, total: 2 });
    return Promise.resolve({ files: ['a'] });
  });
  const bad = tasks.start({ kind: 'export', subject: 'y', unit: 'tensors' }, () =>
    Promise.reject(new TributaryError('disk.full', 'No space.')),
  );
  const endless = tasks.start(
    { kind: 'search', subject: 'z', unit: 'rows' },
    ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stop')))),
  );
  await until(() => expect(told.some(({ task, state }) => task === bad && state === 'failed')).toBe(true));
  tasks.cancel(endless);
  await tasks.close();
  const last = (task: string) => told.findLast((each) => each.task === task);
  expect(last(good)).toMatchObject({ state: 'done', result: { files: ['a'] } });
  expect(last(bad)).toMatchObject({ error: { code: 'disk.full' } });
  expect(last(endless)).toMatchObject({ state: 'cancelled' });
  expect(() => tasks.cancel('no')).toThrow(TributaryError);
});
