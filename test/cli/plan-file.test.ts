/** @file Plans from files: JSON, YAML and those that come with the program. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { presetNames, readPreset } from '../../core/federation/presets.ts';
import { readPlanFile } from '../../main/cli/plan-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-plans-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('presets', () => {
  it('are all valid plans, with any model in place of theirs', async () => {
    const names = await presetNames();
    expect(names).toEqual(expect.arrayContaining(['first-answers', 'first-preferences', 'openfedllm-sft']));
    for (const name of names) {
      const { plan, model } = await readPlanFile(`preset:${name}`, { model: 'smollm2-135m-instruct' });
      expect(plan).toMatchObject({ name, model: 'smollm2-135m-instruct' });
      expect(model.sha256).toMatch(/^[0-9a-f]{64}$/);
      if (!name.startsWith('first-')) expect(plan.federation.rounds).toBeGreaterThanOrEqual(100);
    }
  });

  it('say what they are for', async () => {
    for (const name of await presetNames()) {
      expect((await readPreset(name)).about, name).toMatch(/^[A-Z].{20,}\.$/s);
    }
  });

  it('reproduce the reference’s settings', async () => {
    const { plan } = await readPlanFile('preset:openfedllm-sft', { model: 'smollm2-135m-instruct' });
    expect(plan).toMatchObject({
      adapter: { rank: 32, alpha: 64, dropout: 0.05, targets: ['q_proj', 'v_proj'] },
      training: { steps: 10, batchSize: 16, maxLength: 512, learningRate: 5e-5, template: 'alpaca' },
      federation: { rounds: 200, cohort: { sites: 2 } },
    });
  });

  it('that are not there are named with those that are', async () => {
    await expect(readPlanFile('preset:openfedlm')).rejects.toThrow(/no preset “openfedlm”.*openfedllm-sft/);
  });
});

it('YAML and JSON say the same', async () => {
  const plan = { name: 'clinics', model: 'smollm2-135m-instruct', federation: { cohort: { share: 0.5 } } };
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan));
  const yaml =
    'name: clinics\nmodel: smollm2-135m-instruct # a comment\nfederation: { cohort: { share: 0.5 } }\n';
  writeFileSync(join(folder, 'plan.yaml'), yaml);
  const read = (name: string) => readPlanFile(join(folder, name));
  expect(await read('plan.yaml')).toEqual(await read('plan.json'));
});
