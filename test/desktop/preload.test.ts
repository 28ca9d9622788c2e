/** @file The built preload: one CommonJS file that gives the page the bridge and nothing else. */

import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { requests } from '../../core/bridge/contract.ts';
import type { DesktopBridge } from '../../core/bridge/contract.ts';
import { preloadPath } from '../../core/programs.ts';
import { ASK, EVENT } from '../../main/desktop/channels.ts';

interface Loaded {
  readonly exposed: Record<string, unknown>;
  readonly asked: unknown[][];
  readonly required: string[];
  /** As the program tells the page. */
  readonly tell: (text: string) => void;
}

/** Runs it with what a sandboxed preload has: `require` of Electron, and no Node. */
function load(): Loaded {
  const exposed: Record<string, unknown> = {};
  const asked: unknown[][] = [];
  const required: string[] = [];
  let listener: (event: object, text: string) => void = () => undefined;
  const electron = {
    contextBridge: { exposeInMainWorld: (name: string, api: unknown) => (exposed[name] = api) },
    ipcRenderer: {
      invoke: (...given: unknown[]) => {
        asked.push(given);
        return Promise.resolve('{"output":{}}');
      },
      on: (channel: string, heard: typeof listener) => {
        expect(channel).toBe(EVENT);
        listener = heard;
      },
    },
  };
  const require = (name: string): unknown => {
    required.push(name);
    return electron;
  };
  runInNewContext(readFileSync(preloadPath(), 'utf8'), { require, exports: {}, module: { exports: {} } });
  return { exposed, asked, required, tell: (text) => listener({ sender: 'secret' }, text) };
}

it('gives the page two functions and asks for Electron alone', () => {
  const { exposed, required } = load();
  expect(required).toEqual(['electron']);
  expect(Object.keys(exposed)).toEqual(['tributary']);
  expect(Object.entries(exposed['tributary'] as object).map(([name, value]) => [name, typeof value])).toEqual(
    [
      ['ask', 'function'],
      ['listen', 'function'],
    ],
  );
});

it('passes every name of the contract on, and no other', async () => {
  const { exposed, asked } = load();
  const bridge = exposed['tributary'] as DesktopBridge;
  for (const name of Object.keys(requests)) expect(await bridge.ask(name, '{}')).toBe('{"output":{}}');
  expect(asked).toEqual(Object.keys(requests).map((name) => [ASK, name, '{}']));
  for (const name of ['', 'constructor', '__proto__', 'app', 'app.state ', 'shell.openExternal'])
    await expect(bridge.ask(name, '{}'), name).rejects.toThrow('no such request');
  await expect(bridge.ask({ toString: () => 'app.state' } as never, '{}')).rejects.toThrow();
  expect(asked).toHaveLength(Object.keys(requests).length);
});

it('tells the page texts, without the event by which Electron brought them', () => {
  const { exposed, tell } = load();
  const heard: unknown[][] = [];
  (exposed['tributary'] as DesktopBridge).listen((...given) => void heard.push(given));
  tell('{"event":"changed"}');
  expect(heard).toEqual([['{"event":"changed"}']]);
});

it('holds no schema and no code of the program', () => {
  const text = readFileSync(preloadPath(), 'utf8');
  expect(text.length).toBeLessThan(6000);
  expect(text).not.toMatch(/safeParse|node:/);
});
