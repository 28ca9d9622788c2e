/** @file The window of a site in two federations whose runs have one name: each request reaches the hub that is meant. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import { removeFolder } from '../helpers/folders.ts';
import { importRows, makePlan, openScriptedHub } from '../helpers/site.ts';
import type { ScriptedHub } from '../helpers/site.ts';
import { useSiteWindow } from '../helpers/site-window.ts';
import { until } from '../helpers/until.ts';

const RUN = 'clinics-1';
const window = useSiteWindow();
let root: string;
let hubs: ScriptedHub[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-hubs-'));
  hubs = [];
  for (const name of ['one', 'other']) {
    const hub = await openScriptedHub(join(root, name));
    hubs.push(hub);
    await window.ask('federation.join', {
      invitation: encodeInvitation(hub.invite()),
      name: `clinic-${name}`,
    });
    await until(() => expect(hub.control).toHaveLength(2));
  }
  await importRows(window.folder(), 12);
});
afterEach(async () => {
  for (const hub of hubs) await hub.listener.close();
  await removeFolder(root);
});

const answersOf = ({ heard }: ScriptedHub): string[] =>
  heard.flatMap(({ type }) => (type === 'approval' || type === 'decline' ? [type] : []));

it('names runs apart, and approves, shows and declines the one that is meant', async () => {
  expect(await window.ask('app.state', {})).toMatchObject({
    ...{ stage: 'member', site: 'clinic-one', federation: 'clinics' },
    federations: ['clinics', 'clinics (2)'],
  });
  for (const [index, hub] of hubs.entries())
    hub.propose(makePlan({ seed: index, name: `plan ${index}` }), RUN);
  const listed = async () =>
    (await window.ask('runs.list', {})).runs.map(({ id, name, federation, state }) => {
      return [id, name, federation, state];
    });
  const [first, second] = [
    [RUN, 'plan 0', 'clinics'],
    [`${RUN}@2`, 'plan 1', 'clinics (2)'],
  ];
  await until(async () =>
    expect(await listed()).toEqual([
      [...first, 'proposed'],
      [...second, 'proposed'],
    ]),
  );
  expect((await window.ask('runs.plan', { run: `${RUN}@2` })).plan).toMatchObject({ seed: 1 });

  await window.ask('runs.approve', { run: `${RUN}@2`, dataset: 'notes' });
  await hubs[1].message('approval');
  expect(await listed()).toEqual([
    [...first, 'proposed'],
    [...second, 'approved'],
  ]);
  await window.ask('runs.decline', { run: RUN });
  await hubs[0].message('decline');
  expect(await listed()).toEqual([
    [...first, 'declined'],
    [...second, 'approved'],
  ]);
  expect(hubs.map(answersOf)).toEqual([['decline'], ['approval']]);
  expect((await window.ask('data.list', {})).datasets[0].runs).toEqual([`${RUN}@2`]);
});

it('tells of each federation, and of each run’s course under its own name', async () => {
  const plan = makePlan({ seed: 1, federation: { rounds: 2 } });
  const heard = window.hear('series');
  hubs[1].propose(plan, RUN);
  await until(async () => expect((await window.ask('runs.list', {})).runs).toHaveLength(1));
  await window.ask('runs.approve', { run: `${RUN}@2`, dataset: 'notes' });
  await hubs[1].roundStart(plan, 0, RUN);
  await hubs[1].message('update');
  await until(() => expect(heard.map(({ kind, run }) => `${kind} ${run}`)).toContain(`step ${RUN}@2`));
  expect((await window.ask('runs.series', { run: `${RUN}@2` })).rounds).toMatchObject([
    { round: 0, loss: 2 },
  ]);

  const [one, other] = await Promise.all(
    ['clinics', 'clinics (2)'].map((federation) => window.ask('federation.status', { federation })),
  );
  expect([one.site, other.site]).toEqual(['clinic-one', 'clinic-other']);
  expect([one, other].map(({ members }) => members.find(({ self }) => self)?.name)).toEqual([
    'clinic-one',
    'clinic-other',
  ]);
  expect(one.hubFingerprint).not.toBe(other.hubFingerprint);
  expect(other).toMatchObject({ run: `${RUN}@2`, runs: [{ id: `${RUN}@2`, federation: 'clinics (2)' }] });
  await expect(window.ask('federation.leave', {})).rejects.toMatchObject({
    code: 'site.several-federations',
  });
  await window.ask('federation.leave', { federation: 'clinics' });
  expect(await window.ask('app.state', {})).toMatchObject({ stage: 'member', federation: 'clinics (2)' });
  await window.ask('federation.leave', {});
  expect(await window.ask('app.state', {})).toMatchObject({ stage: 'welcome', federations: [] });
});
