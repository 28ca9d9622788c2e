/** @file The bridge over Electron's IPC: who may ask, what reaches a handler, what the page is told. */

import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { requests } from '../../core/bridge/contract.ts';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import type { Answer, Dispatcher, Handlers } from '../../core/bridge/dispatch.ts';
import { TributaryError } from '../../core/errors.ts';
import { ASK, EVENT } from '../../main/desktop/channels.ts';
import { serveIpc } from '../../main/desktop/ipc.ts';
import { PAGE } from '../../main/desktop/origin.ts';
import { FakeContents, World } from '../helpers/electron.ts';

let world: World;
let contents: FakeContents;
let dispatcher: Dispatcher;
let seen: [string, unknown][];

beforeEach(() => {
  world = new World();
  contents = new FakeContents();
  contents.mainFrame.url = `${PAGE}#/data`;
  seen = [];
  const names = Object.keys(requests);
  const handlers = Object.fromEntries(
    names.map((name) => [name, (input: unknown) => void seen.push([name, input])]),
  ) as Handlers;
  dispatcher = createDispatcher(() => ({ ...handlers, 'task.list': () => ({ tasks: [] }) }));
  serveIpc(world.electron.ipcMain, () => contents as never, Promise.resolve(dispatcher));
});

const own = () => ({ sender: contents, senderFrame: contents.mainFrame });
const ask = async (name: unknown, input: unknown, from: object = own()): Promise<Answer> =>
  JSON.parse((await world.invoke(ASK, [name, input], from)) as string) as Answer;

test('the one page of the one window is answered', async () => {
  expect(await ask('task.list', '{}')).toEqual({ output: { tasks: [] } });
  expect([...world.handlers.keys()]).toEqual([ASK]);
});

test.each([
  ['another window', () => ({ sender: new FakeContents() })],
  ['a frame in the page', () => ({ senderFrame: { url: PAGE, parent: { url: PAGE } } })],
  ['a frame that is gone', () => ({ senderFrame: null })],
  ['a page that came in its place', () => ({ senderFrame: { url: 'https://evil.example/', parent: null } })],
  ['a file', () => ({ senderFrame: { url: 'file:///tmp/index.html', parent: null } })],
  ['another host of the scheme', () => ({ senderFrame: { url: 'app://evil/', parent: null } })],
  ['another file of the window', () => ({ senderFrame: { url: `${PAGE}assets/a.js`, parent: null } })],
])('%s is refused and reaches no handler', async (_, from) => {
  await expect(ask('task.cancel', '{"task":"a"}', { ...own(), ...from() })).rejects.toThrow('may not ask');
  expect(seen).toEqual([]);
});

test('another channel is nobody’s', async () => {
  await expect(world.invoke('tributary:other', ['task.list', '{}'], own())).rejects.toThrow('No handler');
});

test('whatever is asked is answered with an output or an error of the table, and no handler sees a wrong one', async () => {
  const names = Object.keys(requests);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.constantFrom(...names),
        fc.constantFrom('__proto__', 'constructor'),
        fc.string(),
        fc.anything(),
      ),
      fc.oneof(fc.json(), fc.string(), fc.constantFrom('{}', '[]', 'null', '{"__proto__":{"a":1}}')),
      async (name, input) => {
        const answer = await ask(typeof name === 'function' ? '' : cloneable(name), input);
        if ('error' in answer)
          expect(answer.error.code).toMatch(/^(bridge\.(unknown-request|bad-input)|internal\.unexpected)$/);
      },
    ),
    { numRuns: 500 },
  );
  for (const [name, input] of seen) {
    expect(requests[name as keyof typeof requests].input.safeParse(input).success, name).toBe(true);
  }
});

/** What can be sent between processes at all. */
function cloneable(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return null;
  }
}

test('what is no text, no JSON or too long is refused', async () => {
  const bad = { error: { code: 'bridge.bad-input' } };
  for (const input of [undefined, null, 7, {}, { toString: 'x' }, ['{}'], new Uint8Array(4)])
    expect(await ask('task.list', input)).toMatchObject(bad);
  expect(await ask('task.list', '{')).toMatchObject(bad);
  expect(await ask('task.list', ' '.repeat(4 * 1024 * 1024 + 1))).toMatchObject(bad);
  expect(seen).toEqual([]);
});

test('events reach the page as text, and no page that came in its place', async () => {
  await ask('task.list', '{}');
  dispatcher.emit('changed', { what: 'datasets' });
  const told = { channel: EVENT, text: '{"event":"changed","body":{"what":"datasets"}}' };
  expect(contents.sent).toEqual([told]);
  contents.mainFrame.url = 'https://evil.example/';
  dispatcher.emit('changed', { what: 'datasets' });
  expect(contents.sent).toEqual([told]);
});

test('a site that cannot be opened answers every question with the reason', async () => {
  const broken = new World();
  const error = new TributaryError('settings.damaged', 'settings.json does not hold settings.');
  serveIpc(broken.electron.ipcMain, () => contents as never, Promise.reject(error));
  const answer = JSON.parse((await broken.invoke(ASK, ['app.state', '{}'], own())) as string) as Answer;
  expect(answer).toMatchObject({ error: { code: 'settings.damaged' } });
});
