import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readPlan } from '../../core/federation/plan.ts';
import { writeAdapter } from '../../core/model/adapter.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { until } from '../helpers/until.ts';
import { captureOutput, run } from './capture.ts';

const captured = captureOutput();
let folder: string;
let hub: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-cli-hub-'));
  hub = join(folder, 'hub');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a command that must succeed and gives its `result`. */
async function result(...words: string[]): Promise<Record<string, unknown>> {
  captured.out = '';
  expect(await run(...words, '--json'), captured.error).toBe(0);
  const last = captured.out.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as Record<string, unknown>;
}

const plan = join(import.meta.dirname, '../../resources/samples/plans/clinics.json');
const { rounds } = readPlan(readFileSync(plan, 'utf8')).federation;

it('makes a hub, invites, proposes and tells where the run stands, without a hub running', async () => {
  const made = await result(
    'hub',
    'init',
    '--dir',
    hub,
    '--name',
    'clinics',
    '--url',
    'wss://hub.example:443',
  );
  expect(made.fingerprint).toMatch(/^[0-9a-f]{4}( [0-9a-f]{4}){15}$/);
  const { invitation } = await result('hub', 'invite', '--dir', hub, '--site', 'north', '--expires', '2h');
  expect(invitation).toMatch(/^tributary1\.[\w-]+$/);
  const { run: id, planHash } = await result('hub', 'propose', plan, '--dir', hub);
  const status = await result('hub', 'status', '--dir', hub);
  expect(status).toMatchObject({
    running: false,
    runs: [{ id, planHash, state: 'proposed', round: null, sites: [] }],
  });
  expect(await result('hub', 'runs', '--dir', hub)).toMatchObject({ runs: [{ id, rounds }] });
  await result('hub', 'cancel', String(id), '--dir', hub);
  expect(await result('hub', 'status', '--dir', hub)).toMatchObject({ runs: [{ state: 'cancelled' }] });
});

it('exports a ledger that verifies, and names the entry that was altered', async () => {
  await result('hub', 'init', '--dir', hub, '--name', 'clinics');
  await result('hub', 'propose', plan, '--dir', hub);
  const file = join(folder, 'ledger.jsonl');
  const { entries } = await result('hub', 'ledger', '--dir', hub, '--out', file);
  for (const place of [file, hub]) {
    const report = await result('audit', 'verify', place);
    expect(report).toEqual({ type: 'result', entries, verified: true, firstBroken: null, reason: null });
  }
  const changed = readFileSync(file, 'utf8').replace(`"rounds\\":${rounds}`, `"rounds\\":${rounds + 1}`);
  writeFileSync(file, changed);
  captured.out = '';
  expect(await run('audit', 'verify', file, '--json')).toBe(1);
  expect(JSON.parse(captured.out)).toMatchObject({ type: 'result', verified: false, firstBroken: 1 });
});

it('says where it listens, answers while running, and stops cleanly when told to', async () => {
  await result('hub', 'init', '--dir', hub, '--name', 'clinics');
  captured.out = '';
  const running = run('hub', 'start', '--dir', hub, '--json');
  await until(() => expect(captured.out).toContain('\n'));
  expect(JSON.parse(captured.out)).toEqual({
    type: 'listening',
    url: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/) as string,
  });
  expect(await result('hub', 'status', '--dir', hub)).toMatchObject({ running: true });
  process.emit('SIGTERM');
  expect(await running).toBe(0);
  expect(await result('hub', 'status', '--dir', hub)).toMatchObject({ running: false });
});

it.each([
  [['status'], 'hub.not-there', 1],
  [['start'], 'hub.not-there', 1],
  [['invite', '--expires', 'soon'], 'usage.invalid', 2],
  [['propose', 'no-such-plan.json'], 'file.not-found', 1],
])('hub %j without a hub: %s', async (words, code, status) => {
  expect(await run('hub', ...words, '--dir', hub)).toBe(status);
  expect(captured.error.split(':')[0]).toBe(code);
});

it('names what is wrong with a plan', async () => {
  const file = join(folder, 'plan.json');
  writeFileSync(file, '{"name":"x","model":"tiny","federation":{"round":3}}');
  expect(await run('hub', 'propose', file, '--dir', hub)).toBe(2);
  expect(captured.error).toMatch(/^plan\.invalid: .*round/);
});

it('reads the same plan from YAML as from JSON', async () => {
  await result('hub', 'init', '--dir', hub, '--name', 'clinics');
  const yaml = join(folder, 'plan.yaml');
  writeFileSync(yaml, 'name: x\nmodel: tiny\nfederation:\n  rounds: 3 # few\n');
  const json = join(folder, 'plan.json');
  writeFileSync(json, '{"name":"x","model":"tiny","federation":{"rounds":3}}');
  const [first, second] = [
    await result('hub', 'propose', yaml, '--dir', hub),
    await result('hub', 'propose', json, '--dir', hub),
  ];
  expect(first.planHash).toBe(second.planHash);
  writeFileSync(yaml, 'name: [x');
  expect(await run('hub', 'propose', yaml, '--dir', hub)).toBe(2);
  expect(captured.error).toMatch(/^plan\.invalid: The plan is not YAML/);
});

it('starts a run from an adapter folder, named from where the command is given', async () => {
  await result('hub', 'init', '--dir', hub, '--name', 'clinics');
  const { identity } = openTiny();
  const shape = { rank: 2, alpha: 4, targets: 'all-linear' as const };
  const adapter = join(folder, 'adapter');
  await writeAdapter(
    adapter,
    { configuration: shape, tensors: initialAdapter(TINY_CONFIGURATION, shape, 5) },
    { identity, configuration: TINY_CONFIGURATION },
  );
  const file = join(folder, 'plan.json');
  writeFileSync(file, JSON.stringify({ name: 'x', model: 'tiny', objective: 'dpo', adapter: shape }));
  const fresh = await result('hub', 'propose', file, '--dir', hub);
  const words = ['hub', 'propose', file, '--start', relative(process.cwd(), adapter), '--dir', hub];
  const onward = await result(...words);
  expect(onward.planHash).not.toBe(fresh.planHash);
  expect((await result(...words)).planHash).toBe(onward.planHash);
  const ledger = join(folder, 'ledger.jsonl');
  await result('hub', 'ledger', '--dir', hub, '--out', ledger);
  const entry = readFileSync(ledger, 'utf8')
    .split('\n')
    .find((line) => line.includes(String(onward.run)));
  expect(entry).toContain('start');
});
