/** @file What a site says has left its machine is what its sockets have sent, byte for byte, by kind. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import { askSite } from '../../core/site/ask.ts';
import { openProxy } from '../helpers/proxy.ts';
import { importRows, makePlan, makeTrainer, openScriptedHub, SOFTWARE, start } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-traffic-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('counts what a proxy in between counts, from the join on', async () => {
  const hub = await openScriptedHub(folder);
  const proxy = await openProxy(() => hub.listener.port);
  const place = join(folder, 'site');
  const invitation = encodeInvitation(hub.invite({ urls: [`ws://127.0.0.1:${proxy.port}`] }));
  await askSite({ folder: place, software: SOFTWARE }, 'join', { invitation, name: 'clinic-a' });
  await importRows(place, 12);
  const site = await start(place, makeTrainer());
  try {
    await site.ask('approve', { standing: true, dataset: 'notes' });
    const plan = makePlan({ federation: { rounds: 3 } });
    await until(() => expect(hub.control.length).toBeGreaterThan(1));
    hub.propose(plan);
    await hub.message('approval');
    await until(() => expect(hub.bulk).toHaveLength(1));
    await hub.roundStart(plan, 0);
    const update = await hub.message('update');
    await until(() => {
      const { bytes, kinds } = site.status().leftThisMachine;
      expect(bytes).toBe(proxy.bytes.up);
      expect(Object.values(kinds).reduce((sum, part) => sum + part, 0)).toBe(bytes);
      expect(kinds.updates).toBeGreaterThan(update.blob.size - 1);
      expect(kinds.answers).toBeGreaterThan(0);
      expect(kinds.progress).toBeGreaterThan(0);
      expect(kinds.scores).toBe(0);
    });
  } finally {
    await site.stop();
    await proxy.close();
    await hub.listener.close();
  }
});
