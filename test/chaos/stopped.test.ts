/** @file One of eight sites stands still (SIGSTOP): the round goes on without it, with a reason, and it comes back. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { smallPlan } from '../helpers/federation.ts';
import { daemon, makeTemplate, propose, record, removeFolders, statusOf } from './federation.ts';
import type { Daemon } from './federation.ts';

afterAll(removeFolders);

const NAMES = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
const DEADLINE_SECONDS = 20;

it(
  'closes the round at the deadline, names the site and why within 10 s, and takes it back',
  { timeout: 240_000 },
  async () => {
    const root = await makeTemplate(NAMES);
    const hub = join(root, 'hub');
    const daemons: Daemon[] = [daemon(['hub', hub])];
    const sites = new Map(
      NAMES.map((name) => {
        const environment: Record<string, string> = name === 'eight' ? { TRIBUTARY_TEST_HOLD: '0' } : {};
        return [name, daemon(['site', join(root, name)], { environment })];
      }),
    );
    daemons.push(...sites.values());
    const eight = sites.get('eight');
    try {
      const plan = smallPlan({ rounds: 2, minSites: 4, deadline: `${DEADLINE_SECONDS}s` });
      const id = await propose(hub, plan);
      const of = (status: { sites: readonly { name: string; state: string; reason: string }[] }) =>
        status.sites.find(({ name }) => name === 'eight');
      await statusOf(hub, id, (status) => of(status)?.state === 'training');
      eight?.kill('SIGSTOP');
      const stopped = performance.now();
      const away = of(await statusOf(hub, id, (status) => of(status)?.state === 'away'));
      expect((performance.now() - stopped) / 1000).toBeLessThan(10);
      expect(away?.reason).toMatch(/nothing has been heard of it for \d+ s|not connected for \d+ s/);

      const { history } = await statusOf(hub, id, (status) => status.history.length > 0);
      expect(history[0].cohort).not.toContain('eight');
      expect(history[0].cohort.length).toBeGreaterThanOrEqual(4);
      expect(history[0].seconds).toBeGreaterThanOrEqual(DEADLINE_SECONDS);
      eight?.kill('SIGCONT');
      const { history: rounds } = await statusOf(hub, id, ({ state }) => state === 'completed');
      expect(rounds[1].cohort).toContain('eight');
      expect((await record(hub, id)).aggregates).toHaveLength(2);
      expect(readFileSync(join(root, 'hub', 'ledger.jsonl'), 'utf8')).toContain('"eight"');
    } finally {
      eight?.kill('SIGCONT');
      await Promise.all(daemons.map(({ stop }) => stop()));
    }
  },
);
