/** @file The form of a plan: its fields follow the plan's own schema and what is chosen in it. */

import { expect, test } from 'vitest';
import { planJsonSchema } from '../../core/federation/plan.ts';
import {
  sectionsOf,
  shown,
  typedNumber,
  typedWords,
  valueAt,
  withValue,
} from '../../renderer/hub/plans/fields.ts';
import type { PlanDraft, Schema } from '../../renderer/hub/plans/fields.ts';
import { en } from '../../renderer/strings/en.ts';
import { zh } from '../../renderer/strings/zh.ts';

const schema = planJsonSchema() as Schema;
const fieldsOf = (plan: PlanDraft) =>
  sectionsOf(schema, plan).flatMap(({ fields, more }) => [...fields, ...more]);
const pathsOf = (plan: PlanDraft) => fieldsOf(plan).map(({ path }) => path);

/** With every field that a form can show, for one strategy. */
const full = (strategy: string): PlanDraft => ({
  ...{ name: 'all', model: 'tiny', evaluation: {}, data: {} },
  training: { dpo: {} },
  adapter: { start: { run: 'run-1' } },
  federation: { strategy: { name: strategy }, cohort: { share: 0.5 }, earlyStop: {} },
});
const strategies = fieldsOf({}).find(({ path }) => path === 'federation.strategy')?.options ?? [];

test('every field has its words in both languages, in Chinese its meaning too', () => {
  expect(strategies).toContain('scaffold');
  const fields = [
    ...strategies.flatMap((name) => fieldsOf(full(name))),
    ...fieldsOf({ federation: { cohort: { sites: 2 } } }),
  ];
  for (const { path, description } of fields) {
    expect(en.plan.fields, path).toHaveProperty([path]);
    expect(zh.plan.fields, path).toHaveProperty([path]);
    expect(description, path).not.toBe('');
    expect(zh.plan.meaning(path, ''), path).toMatch(/\p{Script=Han}/u);
  }
});

test('what is asked for of a strategy, a cohort or held-out rows is shown once it is chosen', () => {
  expect(pathsOf({})).not.toContain('federation.strategy.mu');
  expect(pathsOf(full('fedprox'))).toContain('federation.strategy.mu');
  expect(pathsOf(full('fedprox'))).not.toContain('federation.strategy.eta');
  expect(pathsOf({})).not.toContain('evaluation.share');
  expect(pathsOf({ evaluation: {} })).toContain('evaluation.share');
  expect(pathsOf({ federation: { cohort: { sites: 3 } } })).toContain('federation.cohort.sites');
  expect(pathsOf({ federation: { cohort: { sites: 3 } } })).not.toContain('federation.cohort.share');
});

test('no field is shown twice, and the version is nobody’s choice', () => {
  const paths = pathsOf(full('fedyogi'));
  expect(new Set(paths).size).toBe(paths.length);
  expect(paths).not.toContain('version');
});

test('a value is set where it belongs and nothing beside it changes', () => {
  const plan = { name: 'a', training: { steps: 3, batchSize: 2 } };
  const changed = withValue(plan, 'training.steps', 5);
  expect(changed).toEqual({ name: 'a', training: { steps: 5, batchSize: 2 } });
  expect(plan.training.steps).toBe(3);
  expect(valueAt(changed, 'training.steps')).toBe(5);
  expect(withValue(changed, 'training.steps', undefined)).toEqual({ name: 'a', training: { batchSize: 2 } });
  expect(withValue({}, 'federation.cohort', { share: 0.5 })).toEqual({
    federation: { cohort: { share: 0.5 } },
  });
});

test('what is typed becomes what a plan holds', () => {
  expect(typedNumber(' 5e-4 ')).toBe(0.0005);
  expect(typedNumber('0')).toBe(0);
  expect(typedNumber('')).toBeUndefined();
  expect(typedNumber('ten')).toBe('ten');
  expect(typedWords('question, answer，label,')).toEqual(['question', 'answer', 'label']);
  expect(typedWords(' , ')).toBeUndefined();
  expect([shown(undefined), shown(0), shown(['a', 'b']), shown(false)]).toEqual(['', '0', 'a, b', 'false']);
});
