/** @file A site's window without the window: the real answers over a real folder, asked as a page asks them. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { EventBody, EventName, Input, Output, RequestName } from '../../core/bridge/contract.ts';
import { openSiteWindow } from '../../core/bridge/site/window.ts';
import type { SiteWindow } from '../../core/bridge/site/window.ts';
import { startSite } from '../../core/site/site.ts';
import { makeTrainer, SOFTWARE } from './site.ts';

export interface TestWindow {
  /** Of the site. */
  readonly folder: () => string;
  readonly application: () => SiteWindow['application'];
  readonly ask: <Name extends RequestName>(name: Name, input: Input<Name>) => Promise<Output<Name>>;
  /** What the window is told of an event from now on. */
  readonly hear: <Name extends EventName>(name: Name) => EventBody<Name>[];
  /** The task once it has ended. */
  readonly ended: (task: string) => Promise<EventBody<'task'>>;
}

/** A window of a site that has joined nothing, opened anew for each test; models are kept in a folder of the test. */
export function useSiteWindow(): TestWindow {
  let root: string;
  let window: SiteWindow;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tributary-window-'));
    process.env['TRIBUTARY_HOME'] = join(root, 'home');
    const folder = join(root, 'site');
    window = await openSiteWindow({
      folder,
      program: { software: SOFTWARE, version: '0', surface: 'browser', secrets: 'file' },
      start: () => startSite({ folder, software: SOFTWARE, trainer: makeTrainer(), resident: true }),
    });
    await window.application.settings.set({ device: 'cpu', threads: 1 });
  });
  afterEach(async () => {
    await window.application.close();
    rmSync(root, { recursive: true, force: true });
  });

  return {
    folder: () => join(root, 'site'),
    application: () => window.application,
    ask: async (name, input) => {
      const answer = await window.dispatcher.answer(name, input);
      if ('error' in answer) throw Object.assign(new Error(answer.error.message), answer.error);
      return answer.output as Output<typeof name>;
    },
    hear: (name) => {
      const heard: EventBody<typeof name>[] = [];
      window.dispatcher.listen((event, body) => {
        if (event === name) heard.push(body as EventBody<typeof name>);
      });
      return heard;
    },
    ended: (task) =>
      new Promise((resolve) => {
        const known = window.application.tasks.list().find((each) => each.task === task);
        if (known !== undefined && known.state !== 'running') resolve(known);
        const stop = window.dispatcher.listen((event, body) => {
          const told = body as EventBody<'task'>;
          if (event !== 'task' || told.task !== task || told.state === 'running') return;
          stop();
          resolve(told);
        });
      }),
  };
}
