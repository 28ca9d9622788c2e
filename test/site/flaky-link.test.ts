/** @file A link that breaks every three seconds: an update of 19.5 MB arrives, and little of it is sent twice. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { initHub } from '../../core/hub/folder.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import { askSite } from '../../core/site/ask.ts';
import { startSite } from '../../core/site/site.ts';
import { createPace } from '../../core/federation/pace.ts';
import {
  cleanUp,
  joinSite,
  openFederation,
  smallIdentity,
  smallModel,
  smallPlan,
  temporaryFolder,
} from '../helpers/federation.ts';
import { openProxy } from '../helpers/proxy.ts';
import type { Proxy } from '../helpers/proxy.ts';
import { makeTrainer } from '../helpers/site.ts';

const BREAK_MILLISECONDS = 3000;
const BYTES_PER_SECOND = 3_000_000;
/** Of 4 884 480 values in float32, without the header. */
const UPDATE_BYTES = 19_537_920;

let proxy: Proxy | undefined;
let breaking: NodeJS.Timeout | undefined;
afterEach(async () => {
  clearInterval(breaking);
  await proxy?.close();
  await cleanUp();
});

/** The dimensions of SmolLM2-135M, of which an adapter of rank 16 on all linears has 4 884 480 values. */
const model: ModelConfiguration = {
  ...smallModel,
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  attentionHeads: 9,
  keyValueHeads: 3,
  headSize: 64,
  vocabularySize: 49_152,
};

it('completes over it, sending less than a tenth of the bytes again', { timeout: 300_000 }, async () => {
  const folder = temporaryFolder();
  let hubPort = 0;
  proxy = await openProxy(() => hubPort, BYTES_PER_SECOND);
  const { bytes, cut } = proxy;
  await initHub({ folder, name: 'clinics' });
  const federation = await openFederation(folder);
  hubPort = Number(new URL(federation.hub.url).port);
  await joinSite(federation, 'near');
  await federation.hub.ask('urls', { urls: [`ws://127.0.0.1:${proxy.port}`] });

  const remote = join(temporaryFolder(), 'remote');
  mkdirSync(remote);
  const rows = Array.from({ length: 10 }, (_, at) =>
    JSON.stringify({ instruction: `q${at}`, response: 'a' }),
  );
  writeFileSync(join(remote, 'rows.jsonl'), rows.join('\n'));
  const options = { folder: remote, software: 'test' };
  await askSite(options, 'join', { invitation: await federation.invite('remote'), name: 'remote' });
  await askSite(options, 'import', { file: join(remote, 'rows.jsonl'), as: 'rows' });
  await askSite(options, 'approve', { standing: true, dataset: 'rows' });
  const site = await startSite({ folder: remote, trainer: makeTrainer(), software: 'test' });

  const plan = smallPlan({ rounds: 1 });
  const before = { ...bytes };
  let cuts = 0;
  breaking = setInterval(() => (cuts += cut() > 0 ? 1 : 0), BREAK_MILLISECONDS);
  await federation.hub.ask('propose', {
    plan: { ...plan, adapter: { ...plan.adapter, rank: 16 } },
    model: smallIdentity,
    configuration: model,
  });
  const arrived = await federation.event('update', (event) => event.site === 'remote');
  expect(arrived.round).toBe(0);
  const sent = bytes.up - before.up;
  expect(cuts).toBeGreaterThanOrEqual(2);
  expect(sent).toBeGreaterThan(UPDATE_BYTES);
  expect(sent).toBeLessThan(1.1 * UPDATE_BYTES);
  await federation.event('ended', ({ state }) => state === 'completed');
  clearInterval(breaking);
  await site.stop();
});

it('has many chunks under way on a fast link and one on a slow one', () => {
  const play = (secondsPerChunk: number, roundTrip: number, begins = 0): number => {
    let now = 0;
    const pace = createPace(64, () => now);
    const under: { index: number; at: number }[] = [];
    let free = 0;
    for (let index = 0; index < 400;) {
      if (under.length < pace.allowed()) {
        pace.sent(index);
        free = Math.max(free, now, begins) + secondsPerChunk;
        under.push({ index: index++, at: free + roundTrip });
      } else {
        const [first] = under.splice(0, 1);
        now = Math.max(now, first.at);
        pace.acknowledged(first.index);
      }
    }
    return pace.allowed();
  };
  expect(play(0.0005, 0.001)).toBe(64);
  expect(play(0.2, 0.05)).toBeLessThanOrEqual(2);
  expect(play(0.004, 0.2)).toBeGreaterThan(30); // a long way is no slow link
  expect(play(0.04, 0.001, 1)).toBeLessThanOrEqual(5); // nor is one fast where the other side begins late
});
