import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportAdapter } from '../../core/export/export.ts';
import { modelCard } from '../../core/export/model-card.ts';
import { readAdapter } from '../../core/model/adapter.ts';
import type { Adapter } from '../../core/model/adapter.ts';
import { openModel } from '../../core/model/open.ts';
import { openSafetensors } from '../../core/model/safetensors.ts';
import { captureOutput, run } from '../cli/capture.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { temporaryFolder } from '../model/fixtures.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { nextScores, writeRandomAdapter } from './scores.ts';

const root = temporaryFolder();
const adapterFolder = join(root, 'adapter');
let written: Adapter;

beforeAll(async () => {
  written = await writeRandomAdapter(adapterFolder);
});

const scores = (reference: string, adapter: Adapter | null) =>
  nextScores(reference, { adapter, cache: root });

describe('a merged model', () => {
  it('scores tokens as the adapter does on its base, also after it was opened anew', async () => {
    const out = join(root, 'merged');
    const files = await exportAdapter({ adapter: adapterFolder, model: 'tiny', format: 'merged', out });
    expect(files.map((file) => file.slice(out.length + 1))).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const [base, adapted, merged] = [
      await scores('tiny', null),
      await scores('tiny', written),
      await scores(out, null),
    ];
    expect(largestDifference(base, adapted)).toBeGreaterThan(0.05);
    expect(largestDifference(merged, adapted)).toBeLessThan(2e-4);
  });

  it('can be written in bfloat16: half the bytes, nearly the same scores, and its configuration says so', async () => {
    const out = join(root, 'halves');
    await exportAdapter({ adapter: adapterFolder, model: 'tiny', format: 'merged', out, type: 'bfloat16' });
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({ dtype: 'bfloat16' });
    const file = openSafetensors(join(out, 'model.safetensors'));
    expect(new Set([...file.entries.values()].map(({ format }) => format))).toEqual(new Set(['BF16']));
    file.close();
    const difference = largestDifference(await scores(out, null), await scores('tiny', written));
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(0.1);
  });

  it('leaves nothing where it is stopped', async () => {
    const out = join(root, 'stopped');
    const stopping = new AbortController();
    const request = { adapter: adapterFolder, model: 'tiny', format: 'merged', out } as const;
    const onProgress = () => stopping.abort(new Error('enough'));
    await expect(exportAdapter({ ...request, signal: stopping.signal, onProgress })).rejects.toThrow(
      'enough',
    );
    expect(readdirSync(out)).toEqual([]);
  });
});

it('tells how the tokenizer of a model out of a GGUF file is loaded', () => {
  const base = { id: 'clinic', sha256: 'a'.repeat(64) };
  const card = (files: string[]) =>
    modelCard({
      base,
      adapter: written.configuration,
      merged: { format: 'merged', type: 'float32', files },
    });
  expect(card(['config.json', 'tokenizer.gguf'])).toContain("gguf_file='tokenizer.gguf'");
  expect(card(['config.json', 'tokenizer.json'])).not.toContain('gguf');
});

describe('an exported adapter', () => {
  it('is the same adapter, with a card that names base and training and no data', async () => {
    const out = join(root, 'peft');
    const provenance = { kind: 'federated', run: 'clinics', rounds: 3, steps: 20, created: 1.79e9 } as const;
    await exportAdapter({ adapter: adapterFolder, format: 'peft', out, provenance });
    const tiny = await openModel('tiny');
    expect(readAdapter(out, tiny)).toEqual(written);
    const card = readFileSync(join(out, 'README.md'), 'utf8');
    expect(card).toContain(tiny.identity.sha256);
    expect(card).toContain('| Rounds | 3 |');
    expect(card).toContain('q_proj, v_proj, down_proj');
  });

  it('is refused where it is damaged, before anything is written', async () => {
    const damaged = join(root, 'damaged');
    mkdirSync(damaged);
    for (const name of readdirSync(adapterFolder))
      writeFileSync(join(damaged, name), readFileSync(join(adapterFolder, name)));
    writeFileSync(join(damaged, 'adapter_model.safetensors'), 'nothing');
    const out = join(root, 'of-damaged');
    const code = await codeOfAsync(() =>
      exportAdapter({ adapter: damaged, model: 'tiny', format: 'peft', out }),
    );
    expect(code).toBe('adapter.damaged');
    expect(readdirSync(out)).toEqual([]);
  });
});

describe('an export', () => {
  it('never touches a folder that holds something', async () => {
    const request = { adapter: adapterFolder, model: 'tiny', out: adapterFolder } as const;
    expect(await codeOfAsync(() => exportAdapter({ ...request, format: 'peft' }))).toBe('export.not-empty');
  });

  it('has the types of its format and no other', async () => {
    const out = join(root, 'none');
    const request = { adapter: adapterFolder, model: 'tiny', format: 'onnx', out, type: 'q8_0' } as const;
    expect(await codeOfAsync(() => exportAdapter(request))).toBe('usage.invalid');
    expect(existsSync(out)).toBe(false);
  });

  it('needs the model where the folder does not name it', async () => {
    const out = join(root, 'without-model');
    expect(await codeOfAsync(() => exportAdapter({ adapter: adapterFolder, format: 'merged', out }))).toBe(
      'export.no-base',
    );
  });

  const captured = captureOutput();
  it('can be asked for on the command line, which lists the files', async () => {
    const out = join(root, 'command');
    const words = ['export', '--adapter', adapterFolder, '--model', 'tiny', '--format', 'peft', '--out', out];
    expect(await run(...words, '--json')).toBe(0);
    const names = ['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'tributary.json'];
    expect(JSON.parse(captured.out.trim().split('\n').at(-1) ?? '')).toEqual({
      type: 'result',
      files: names.map((name) => join(out, name)),
    });
  });
});
