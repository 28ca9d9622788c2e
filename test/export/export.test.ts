import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../core/engine/engine.ts';
import { exportAdapter } from '../../core/export/export.ts';
import { modelCard } from '../../core/export/model-card.ts';
import { readAdapter, writeAdapter } from '../../core/model/adapter.ts';
import type { Adapter } from '../../core/model/adapter.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openModel } from '../../core/model/open.ts';
import { openSafetensors } from '../../core/model/safetensors.ts';
import { Random } from '../../core/random.ts';
import { captureOutput, run } from '../cli/capture.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const root = temporaryFolder();
const adapterFolder = join(root, 'adapter');
const targets = ['q_proj', 'v_proj', 'down_proj'];
const configuration = { rank: 4, alpha: 12, targets };
let written: Adapter;

beforeAll(async () => {
  const tiny = await openModel('tiny');
  const tensors = new Map(initialAdapter(tiny.configuration, configuration, 3));
  // B starts at zero, where an adapter changes nothing.
  for (const [name, { data }] of tensors) {
    const random = new Random('export', name);
    if (name.includes('lora_B')) for (let i = 0; i < data.length; i++) data[i] = random.uniform() - 0.5;
  }
  await writeAdapter(adapterFolder, { configuration, tensors }, tiny);
  written = readAdapter(adapterFolder, tiny);
});

/** Scores of the first token that follows a prompt, in float32. */
async function scores(reference: string, adapter: Adapter | null): Promise<Float32Array> {
  const model = await openModel(reference);
  const engine = new Engine(model.weights, { precision: 'f32', device: 'cpu', cache: join(root, 'cache') });
  try {
    let found = new Float32Array();
    const continued = engine.generate({
      prompt: [...model.tokenizer.encode('A fever of 39 degrees', { special: false }).ids],
      adapter: adapter && { configuration: adapter.configuration, parameters: adapter.tensors },
      exact: true,
      choose: (logits) => {
        found = Float32Array.from(logits);
        return 0;
      },
    });
    await continued.next();
    await continued.return();
    return found;
  } finally {
    await engine.release();
    model.close();
  }
}

function largestDifference(one: Float32Array, other: Float32Array): number {
  expect(one.length).toBe(other.length);
  return one.reduce((largest, value, index) => Math.max(largest, Math.abs(value - other[index])), 0);
}

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
    modelCard({ base, adapter: written.configuration, merged: { type: 'float32', files } });
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

  it.each(['gguf', 'onnx'] as const)('says why it cannot write %s', async (format) => {
    const out = join(root, `none-${format}`);
    expect(
      await codeOfAsync(() => exportAdapter({ adapter: adapterFolder, model: 'tiny', format, out })),
    ).toBe('export.unavailable');
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
