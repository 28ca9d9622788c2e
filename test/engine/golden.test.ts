import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkAdamW } from '../golden/checks/adamw.ts';
import { checkFedProx } from '../golden/checks/fedprox.ts';
import { checkForward } from '../golden/checks/forward.ts';
import { checkLogits } from '../golden/checks/logits.ts';
import { checkScaffold } from '../golden/checks/scaffold.ts';
import { checkSft } from '../golden/checks/sft.ts';
import type { Check } from '../golden/check.ts';
import { smollm2File, temporaryFolder } from '../model/fixtures.ts';

const golden = join(import.meta.dirname, '../golden');
const smollm2 = smollm2File();

function expectAllPassed(checks: readonly Check[], count: number): void {
  expect(checks.filter(({ status }) => status !== 'passed')).toEqual([]);
  expect(checks).toHaveLength(count);
}

describe('the engine computes what the reference computes', () => {
  // Two spellings of the configuration, two batches: eight values and the gradient of each tensor.
  it.each(['llama-tiny', 'llama3-rope-tiny', 'qwen2-tiny', 'qwen3-tiny', 'mistral-tiny', 'tinyllama-tiny'])(
    '%s forward and backward',
    async (model) => {
      expectAllPassed(await checkForward(join(golden, model, 'forward.json')), 2 * (1 + 2 * (9 + 2 * 14)));
    },
  );

  it('and a wrong scale of the adapter is noticed', async () => {
    const folder = temporaryFolder();
    cpSync(join(golden, 'llama-tiny'), folder, { recursive: true });
    const path = join(folder, 'adapter/adapter_config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"lora_alpha": 8', '"lora_alpha": 7.99'));
    const checks = await checkForward(join(folder, 'forward.json'));
    const passed = checks.filter(({ status }) => status === 'passed').map(({ name }) => name);
    expect(passed.filter((name) => name.startsWith('config.json'))).toEqual([
      'config.json inverse frequencies',
      'config.json batch 0 loss of the base model',
      'config.json batch 0 supervised tokens',
      'config.json batch 1 loss of the base model',
      'config.json batch 1 supervised tokens',
    ]);
  });

  it.each([
    { model: 'mistral-tiny', from: '"sliding_window": 5', to: '"sliding_window": 6', what: 'a wider window' },
    {
      model: 'qwen3-tiny',
      from: '"rms_norm_eps": 1e-06',
      to: '"rms_norm_eps": 0.01',
      what: 'another epsilon',
    },
  ])('and $what is noticed', async ({ model, from, to }) => {
    const folder = temporaryFolder();
    cpSync(join(golden, model), folder, { recursive: true });
    const path = join(folder, 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));
    const checks = await checkForward(join(folder, 'forward.json'));
    const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
    expect(failed).toContain('config.json batch 0 loss');
    expect(failed.filter((name) => name.startsWith('config.v5.json'))).toEqual([]);
  });

  it('five steps of AdamW, with both ways of averaging', async () => {
    expectAllPassed(await checkAdamW(join(golden, 'adamw/adamw.json')), 4 * 5);
  });

  it('the proximal term of FedProx', async () => {
    expectAllPassed(await checkFedProx(join(golden, 'fedprox/fedprox.json')), 2 * 4);
  });

  it('a client round of SCAFFOLD', async () => {
    expectAllPassed(await checkScaffold(join(golden, 'scaffold/scaffold.json')), 5);
  });
});

describe.skipIf(smollm2 === null)('SmolLM2-135M with four-bit weights', () => {
  it.each([
    // A token takes several times longer where weights are unpacked for each; `npm run golden` checks all of them.
    ...(process.env.TRIBUTARY_LONG_TESTS
      ? ([
          { precision: 'f32', greedyTokens: 32 },
          { precision: 'int4', greedyTokens: 3 },
        ] as const)
      : ([{ precision: 'f32', greedyTokens: 8 }] as const)),
  ])(
    'gives the scores, likelihoods and greedy continuations of the reference at $precision',
    async (options) => {
      const checks = await checkLogits(join(golden, 'smollm2/logits.json'), smollm2 ?? '', options);
      expectAllPassed(checks, 6 * 7);
    },
    120_000,
  );

  // At int4 it takes the better part of a minute; `npm run golden` checks it too.
  it.each(process.env.TRIBUTARY_LONG_TESTS ? (['f32', 'int4'] as const) : (['f32'] as const))(
    'learns as the reference does over five steps at %s',
    async (precision) => {
      const checks = await checkSft(join(golden, 'smollm2/sft.json'), smollm2 ?? '', precision);
      expectAllPassed(checks, 11);
    },
    120_000,
  );
});
