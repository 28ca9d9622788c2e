/** @file A site holds rows out, never trains on them, and tells numbers of them as far as its policy lets it. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import {
  importRows,
  makePlan,
  makeSiteFolder,
  makeTrainer,
  openScriptedHub,
  SOFTWARE,
  start,
} from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site | undefined;
const run = 'clinics-1';

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-scoring-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  await importRows(folder, 100, 'many');
  trainer = makeTrainer();
});
afterEach(async () => {
  await site?.stop();
  site = undefined;
  await hub.listener.close();
  await removeFolder(root);
});

const ask = (command: 'approve' | 'policy', request: object): Promise<unknown> =>
  askSite({ folder, software: SOFTWARE }, command, request as never);

async function up(dataset = 'many'): Promise<Site> {
  await ask('approve', { standing: true, dataset });
  site = await start(folder, trainer);
  await until(() => expect(hub.bulk).toHaveLength(1));
  await until(() => expect(site?.status().state).toBe('idle'));
  return site;
}

describe('held-out rows', () => {
  const plan = makePlan({ evaluation: { count: 20 } });

  it('are scored and never trained on, and the approval counts the others', async () => {
    await up();
    hub.propose(plan);
    expect((await hub.message('approval')).examples).toBe(80);
    await hub.roundStart(plan, 0);
    const { blob } = await hub.message('update');
    hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'committed' });
    hub.send({ type: 'evaluate', run, round: 0, adapter: await hub.publish([0.1234567, 0, 0, 0]) });
    const score = await hub.message('score');
    expect(score).toEqual({
      type: 'score',
      run,
      round: 0,
      examples: 20,
      metrics: { heldOutLoss: Number((2 - Math.fround(0.1234567) / 30).toFixed(4)) },
      reason: '',
    });
    const texts = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row));
    const [{ examples: trained }] = trainer.requests;
    const [{ examples: heldOut }] = trainer.evaluations;
    expect(trained).toHaveLength(80);
    for (const row of texts(heldOut)) expect(texts(trained)).not.toContain(row);
  });

  it('that are too few, or that the policy keeps silent about, give no numbers but an answer', async () => {
    await ask('policy', { set: { version: 1, metrics: ['supervisedTokens'] } });
    await up();
    hub.propose(plan);
    await hub.message('approval');
    const adapter = await hub.publish([1, 0, 0, 0]);
    hub.send({ type: 'evaluate', run, round: 0, adapter });
    const silent = await hub.message('score');
    expect(silent).toMatchObject({
      examples: 0,
      metrics: {},
      reason: expect.stringContaining('policy') as string,
    });
    hub.propose(makePlan({ evaluation: { count: 20, minimum: 30 } }), 'clinics-2');
    await hub.message('approval', 2);
    hub.send({ type: 'evaluate', run: 'clinics-2', round: 0, adapter });
    expect(await hub.message('score', 2)).toMatchObject({ run: 'clinics-2', examples: 0, metrics: {} });
  });

  it('that are fewer than the site trains on at least are not scored, whatever the plan asks for', async () => {
    await ask('policy', { set: { version: 1, minExamples: 21 } });
    await up();
    hub.propose(plan);
    await hub.message('approval');
    hub.send({ type: 'evaluate', run, round: 0, adapter: await hub.publish([1, 0, 0, 0]) });
    expect(await hub.message('score')).toMatchObject({ examples: 0, metrics: {} });
    expect(trainer.evaluations).toEqual([]);
  });
});

describe('a data contract', () => {
  it('that the rows do not keep is declined by its parts; how many rows do what stays here', async () => {
    await up('notes');
    hub.propose(makePlan({ data: { labels: { answer: ['positive', 'negative'] }, minimumRows: 50 } }));
    const decline = await hub.message('decline');
    expect(decline.code).toBe('data.contract');
    expect(decline.reason).toBe(
      'The rows do not fit the plan’s data contract in data.minimumRows, data.labels.answer.',
    );
  });

  it('that the rows keep is approved', async () => {
    await up('notes');
    hub.propose(makePlan({ data: { fields: ['question', 'answer'], minimumRows: 12 } }));
    await hub.message('approval');
  });
});
