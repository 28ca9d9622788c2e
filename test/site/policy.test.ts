/** @file The gate: what passes, what does not, and how several policies add up. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { MESSAGES } from '../../core/federation/messages.ts';
import type { Message, MessageOf } from '../../core/federation/messages.ts';
import {
  DEFAULT_POLICY,
  metricsThatMayLeave,
  parsePolicy,
  passGate,
  readPolicy,
  writePolicy,
} from '../../core/site/policy.ts';
import type { GateRequest, Policy } from '../../core/site/policy.ts';
import { makePlan } from '../helpers/site.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof TributaryError) return `${error.code} ${error.exitStatus}`;
    throw error;
  }
  return 'passed';
}

const through = (request: GateRequest, ...changes: Partial<Policy>[]): string =>
  codeOf(() =>
    passGate([DEFAULT_POLICY, ...changes.map((change) => ({ ...DEFAULT_POLICY, ...change }))], request),
  );
const plan: GateRequest = { kind: 'plan', plan: makePlan() };
const dataset: GateRequest = { kind: 'dataset', dataset: 'notes', examples: 50 };
const update: MessageOf<'update'> = {
  type: 'update',
  run: 'r',
  round: 0,
  blob: { hash: 'ab'.repeat(32), size: 1000 },
  examples: 5,
  loss: 1,
  metrics: { supervisedTokens: 5 },
  signature: new Uint8Array(64),
};
const message: GateRequest = { kind: 'message', message: update };

describe('the gate', () => {
  it('lets pass what the defaults allow', () => {
    expect([plan, dataset, message].map((request) => through(request))).toEqual([
      'passed',
      'passed',
      'passed',
    ]);
  });

  it.each<[string, GateRequest, Partial<Policy>]>([
    ['policy.objective', plan, { objectives: ['dpo'] }],
    ['policy.mode', plan, { modes: ['private'] }],
    ['policy.model', plan, { models: ['cd'.repeat(32)] }],
    ['policy.rounds', plan, { maxRounds: 9 }],
    ['policy.steps', plan, { maxSteps: 9 }],
    ['policy.min-sites', plan, { minSites: 3 }],
    ['policy.dataset', dataset, { datasets: ['other'] }],
    ['policy.examples', dataset, { minExamples: 51 }],
    ['policy.message', message, { metrics: [] }],
    ['policy.update-size', message, { maxUpdateBytes: 999 }],
    ['policy.folder-size', { kind: 'folder', bytes: 1001 }, { maxFolderBytes: 1000 }],
  ])('refuses with %s, exit 3, whichever policy says so', (code, request, change) => {
    expect(through(request, change)).toBe(`${code} 3`);
    expect(through(request, change, {})).toBe(`${code} 3`);
    expect(through(request, {})).toBe('passed');
  });

  it('lets out no message that only a hub sends', () => {
    const hubOnly = Object.entries(MESSAGES).filter(([, { from }]) => from === 'hub');
    expect(hubOnly.length).toBeGreaterThan(5);
    for (const [type] of hubOnly) {
      const forged = { type } as Message;
      expect([type, through({ kind: 'message', message: forged })]).toEqual([type, 'policy.message 3']);
    }
  });
});

it('leaves out metrics that any of the policies does not name', () => {
  const metrics = { supervisedTokens: 5, preferenceAccuracy: 0.75, preferenceMargin: 1.5, other: 3 };
  const machine = { ...DEFAULT_POLICY, metrics: ['supervisedTokens', 'preferenceMargin', 'other'] };
  expect(metricsThatMayLeave([DEFAULT_POLICY, machine], metrics)).toEqual({
    supervisedTokens: 5,
    preferenceMargin: 1.5,
  });
});

describe('a policy file', () => {
  it('is complete when it names what it changes, and comes back as written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tributary-policy-'));
    const path = join(folder, 'policy.json');
    expect(readPolicy(path)).toEqual(DEFAULT_POLICY);
    writeFileSync(path, '{"version":1,"maxRounds":3}');
    expect(readPolicy(path)).toEqual({ ...DEFAULT_POLICY, maxRounds: 3 });
    await writePolicy(path, { ...DEFAULT_POLICY, minSites: 4 });
    expect(readPolicy(path)).toEqual({ ...DEFAULT_POLICY, minSites: 4 });
    rmSync(folder, { recursive: true });
  });

  it.each([
    '',
    '{',
    '[]',
    '{}',
    '{"version":2}',
    '{"version":1,"maxRound":3}',
    '{"version":1,"maxRounds":"3"}',
  ])('that reads %j allows nothing', (text) => {
    expect(codeOf(() => parsePolicy(text, 'policy.json'))).toBe('policy.invalid 3');
  });
});
