import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAdapter, writeAdapter } from '../../core/model/adapter.ts';
import type { AdapterBase } from '../../core/model/adapter.ts';
import { configurationFromHuggingFace } from '../../core/model/huggingface-configuration.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { encodeSafetensors, readSafetensors } from '../../core/model/safetensors.ts';
import type { Tensor } from '../../core/model/tensor.ts';
import { codeOf, codeOfAsync } from '../helpers/errors.ts';
import { temporaryFolder } from './fixtures.ts';

const golden = join(import.meta.dirname, '../golden/llama-tiny');
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const model: AdapterBase = {
  identity: { id: 'llama-tiny', sha256: 'a'.repeat(64) },
  configuration: configurationFromHuggingFace(readJson(join(golden, 'config.json')), 'config.json'),
};
const root = temporaryFolder();
let folders = 0;
const newFolder = (): string => join(root, `adapter-${folders++}`);

/** A copy of PEFT's folder with fields of its configuration changed. */
function peftFolder(change: Record<string, unknown> = {}): string {
  const folder = newFolder();
  cpSync(join(golden, 'adapter'), folder, { recursive: true });
  const path = join(folder, 'adapter_config.json');
  writeFileSync(path, JSON.stringify({ ...(readJson(path) as object), ...change }));
  return folder;
}

describe('a folder that PEFT wrote', () => {
  it('is read with its configuration and tensors', () => {
    const { configuration, tensors } = readAdapter(peftFolder(), model);
    const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    expect(configuration).toEqual({ rank: 4, alpha: 8, targets });
    const raw = readSafetensors(join(golden, 'adapter', 'adapter_model.safetensors'));
    expect(tensors.size).toBe(28);
    expect(new Map(tensors)).toEqual(raw);
    expect([...tensors.keys()].slice(0, 2)).toEqual([
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight',
    ]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['DoRA', { use_dora: true }, 'adapter.unsupported'],
    ['another method', { peft_type: 'IA3' }, 'adapter.unsupported'],
    ['biases', { bias: 'all' }, 'adapter.unsupported'],
    ['whole modules', { modules_to_save: ['lm_head'] }, 'adapter.unsupported'],
    ['ranks of their own', { rank_pattern: { q_proj: 8 } }, 'adapter.unsupported'],
    ['an initialisation that changes the base', { init_lora_weights: 'pissa' }, 'adapter.unsupported'],
    ['a rank that the tensors do not have', { r: 8 }, 'adapter.other-base'],
    ['no rank', { r: undefined }, 'adapter.damaged'],
  ])('is refused with %s', (_, change, code) => {
    expect(codeOf(() => readAdapter(peftFolder(change), model))).toBe(code);
  });

  it('is refused on a model of other dimensions, which is named', () => {
    const wider = { ...model, configuration: { ...model.configuration, hiddenSize: 128 } };
    expect(() => readAdapter(peftFolder(), wider)).toThrow(/llama-tiny.*lora_A\.weight is 4 × 64/);
    expect(codeOf(() => readAdapter(peftFolder(), wider))).toBe('adapter.other-base');
    const shallow = { ...model, configuration: { ...model.configuration, layers: 1 } };
    expect(codeOf(() => readAdapter(peftFolder(), shallow))).toBe('adapter.other-base');
    const deep = { ...model, configuration: { ...model.configuration, layers: 3 } };
    expect(codeOf(() => readAdapter(peftFolder(), deep))).toBe('adapter.other-base');
  });

  it('keeps rank-stabilised scaling and dropout', () => {
    const { configuration } = readAdapter(peftFolder({ use_rslora: true, lora_dropout: 0.1 }), model);
    expect(configuration).toMatchObject({ rankStabilized: true, dropout: 0.1 });
  });

  it('is refused when it is broken', () => {
    expect(codeOf(() => readAdapter(newFolder(), model))).toBe('adapter.not-found');
    const without = peftFolder();
    rmSync(join(without, 'adapter_model.safetensors'));
    expect(codeOf(() => readAdapter(without, model))).toBe('adapter.not-found');
    const cut = peftFolder();
    truncateSync(join(cut, 'adapter_model.safetensors'), 20_000);
    expect(codeOf(() => readAdapter(cut, model))).toBe('adapter.damaged');
    const noJson = peftFolder();
    writeFileSync(join(noJson, 'adapter_config.json'), '{');
    expect(codeOf(() => readAdapter(noJson, model))).toBe('adapter.damaged');
    const change = (edit: (tensors: Map<string, Tensor>) => void): string => {
      const folder = peftFolder();
      const path = join(folder, 'adapter_model.safetensors');
      const tensors = readSafetensors(path);
      edit(tensors);
      writeFileSync(path, encodeSafetensors(tensors));
      return folder;
    };
    const name = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
    const infinite = change((tensors) => tensors.get(name)?.data.fill(Infinity, 3, 4));
    expect(codeOf(() => readAdapter(infinite, model))).toBe('adapter.damaged');
    expect(codeOf(() => readAdapter(change((tensors) => tensors.delete(name)), model))).toBe('adapter.other-base'); // prettier-ignore
    const extra = change((tensors) =>
      tensors.set('lm_head.weight', { shape: [1], data: new Float32Array(1) }),
    );
    expect(codeOf(() => readAdapter(extra, model))).toBe('adapter.unsupported');
    const empty = change((tensors) => tensors.clear());
    expect(codeOf(() => readAdapter(empty, model))).toBe('adapter.damaged');
  });
});

describe('a folder of ours', () => {
  it('holds what was written, the same bytes each time, and nothing else', async () => {
    const adapter = readAdapter(peftFolder(), model);
    const [one, two] = [newFolder(), newFolder()];
    await writeAdapter(one, adapter, model);
    await writeAdapter(two, readAdapter(one, model), model);
    expect(readdirSync(one).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'tributary.json',
    ]);
    for (const file of readdirSync(one)) {
      expect(readFileSync(join(two, file)).equals(readFileSync(join(one, file)))).toBe(true);
    }
    expect(readAdapter(two, model)).toEqual(adapter);
  });

  it('lists every target for PEFT and fields it knows', async () => {
    const folder = newFolder();
    const configuration = { rank: 2, alpha: 4, targets: 'all-linear' as const };
    await writeAdapter(
      folder,
      { configuration, tensors: initialAdapter(model.configuration, configuration, 1) },
      model,
    );
    const written = readJson(join(folder, 'adapter_config.json'));
    expect(written).toMatchObject({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 4,
      bias: 'none',
      task_type: 'CAUSAL_LM',
    });
    expect(written).toHaveProperty('target_modules.length', 7);
    const reference = readJson(join(golden, 'adapter', 'adapter_config.json')) as object;
    for (const field of Object.keys(written as object)) expect(reference).toHaveProperty(field);
  });

  it('keeps a choice of targets', async () => {
    const folder = newFolder();
    const configuration = { rank: 2, alpha: 4, targets: ['v_proj', 'q_proj'], rankStabilized: true };
    const tensors = initialAdapter(model.configuration, configuration, 1);
    await writeAdapter(folder, { configuration, tensors }, model);
    expect(readAdapter(folder, model).configuration).toEqual({
      ...configuration,
      targets: ['q_proj', 'v_proj'],
    });
  });

  it('is refused on another base, and both are named', async () => {
    const folder = newFolder();
    await writeAdapter(folder, readAdapter(peftFolder(), model), model);
    const other: AdapterBase = { ...model, identity: { id: 'another', sha256: 'b'.repeat(64) } };
    expect(() => readAdapter(folder, other)).toThrow(
      /another \(sha256 bbbbbbbbbbbb….*llama-tiny \(sha256 aaaaaaaaaaaa/,
    );
    expect(codeOf(() => readAdapter(folder, other))).toBe('adapter.other-base');
    writeFileSync(join(folder, 'tributary.json'), '{}');
    expect(codeOf(() => readAdapter(folder, model))).toBe('adapter.damaged');
  });

  it('reports a place where nothing can be written', async () => {
    const file = newFolder();
    writeFileSync(file, '');
    const adapter = readAdapter(peftFolder(), model);
    expect(await codeOfAsync(() => writeAdapter(join(file, 'inside'), adapter, model))).not.toBe('no error');
  });
});
