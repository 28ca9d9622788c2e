import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findInCatalogue } from '../../core/model/catalogue.ts';
import { rememberedSha256 } from '../../core/fetching/digest.ts';
import { linears } from '../../core/model/lora.ts';
import { openModel } from '../../core/model/open.ts';
import { encodeSafetensors } from '../../core/model/safetensors.ts';
import type { Tensor } from '../../core/model/tensor.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { byteCharacters } from '../../core/model/tokenizers/bytes.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { smollm2File, temporaryFolder } from './fixtures.ts';

const smollm2 = smollm2File();
const home = temporaryFolder();
const before = process.env['TRIBUTARY_HOME'];
beforeEach(() => {
  process.env['TRIBUTARY_HOME'] = home;
});
afterEach(() => {
  if (before === undefined) delete process.env['TRIBUTARY_HOME'];
  else process.env['TRIBUTARY_HOME'] = before;
});

describe('tiny', () => {
  it('is the same model every time', async () => {
    const [one, two] = [await openModel('tiny'), await openModel('tiny')];
    expect(one.identity).toEqual(two.identity);
    expect(one.identity.sha256).toBe('a94490503e432d1f33a99e156fe143213c47e80cad6173487866d8b4ddc592a0');
    const count = one.weights.names.reduce((sum, name) => sum + one.weights.readFloat32(name).length, 0);
    expect(one.identity.parameters).toBe(count);
  });

  it('has weights of the scale it promises, packed and plain alike', async () => {
    const { weights, configuration } = await openModel('tiny');
    for (const { module, shape } of linears(configuration)) {
      const values = weights.readFloat32(`${module}.weight`);
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      const damping = /(o|down)_proj$/.test(module) ? 0.5 : 1;
      expect(deviation * Math.sqrt(shape[1])).toBeCloseTo(damping, 1);
      expect(weights.describe(`${module}.weight`)).toEqual({ shape, format: 'Q4_1' });
      const packed = weights.readPacked(`${module}.weight`);
      if (packed?.kind !== 'int4') throw new Error('not packed');
      expect(packed.scale[1] * (packed.values[16] & 15) + packed.minimum[1]).toBeCloseTo(values[32], 6);
    }
    expect(weights.readPacked('model.embed_tokens.weight')?.kind).toBe('int8');
  });

  it('tokenises bytes and renders a conversation', async () => {
    const { tokenizer, chatTemplate } = await openModel('tiny');
    const text = chatTemplate?.render([{ role: 'user', content: 'Grüße' }], { generationPrompt: true }) ?? '';
    expect(text).toBe('<|im_start|>user\nGrüße<|im_end|>\n<|im_start|>assistant\n');
    const { ids } = tokenizer.encode(text, { special: true });
    expect(ids.slice(0, 3)).toEqual([257, 117, 115]);
    expect(tokenizer.decode(ids)).toBe(text);
    expect(Math.max(...ids)).toBeLessThan(TINY_CONFIGURATION.vocabularySize);
  });
});

/** Writes tiny's configuration as a Hugging Face folder, with the given tensors changed or left out. */
async function folder(name: string, change: (tensors: Map<string, Tensor>) => void = () => undefined) {
  const path = join(home, name);
  mkdirSync(path, { recursive: true });
  const { weights, configuration: shape } = await openModel('tiny');
  const tensors = new Map<string, Tensor>();
  for (const tensor of weights.names) {
    tensors.set(tensor, { shape: weights.describe(tensor).shape, data: weights.readFloat32(tensor) });
  }
  change(tensors);
  writeFileSync(join(path, 'model.safetensors'), encodeSafetensors(tensors));
  const config = {
    model_type: 'llama',
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.attentionHeads,
    num_key_value_heads: shape.keyValueHeads,
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.maximumPositions,
    rms_norm_eps: shape.rmsNormEpsilon,
    rope_theta: shape.ropeTheta,
    tie_word_embeddings: true,
  };
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  const tokenizer = {
    added_tokens: [{ id: 256, content: '</s>', special: true }],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(byteCharacters.map((text, id) => [text, id])),
      merges: [],
    },
  };
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer));
  const settings = { eos_token: { content: '</s>' }, bos_token: '<s>', chat_template: '{{ bos_token + messages[0].content + eos_token }}' }; // prettier-ignore
  writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify(settings));
  return path;
}

describe('a Hugging Face folder', () => {
  it('opens with tokenizer, template and hash', async () => {
    const path = await folder('good');
    const model = await openModel(path);
    const tiny = await openModel('tiny');
    expect(model.configuration).toEqual(tiny.configuration);
    const sha256 = createHash('sha256').update(readFileSync(join(path, 'model.safetensors'))).digest('hex'); // prettier-ignore
    expect(model.identity).toEqual({ id: 'good', sha256, parameters: tiny.identity.parameters });
    expect(model.tokenizer.encode('a</s>', { special: true }).ids).toEqual([97, 256]);
    expect(model.chatTemplate?.render([{ role: 'user', content: 'hi' }], { generationPrompt: false })).toBe(
      '<s>hi</s>',
    );
    const name = 'model.layers.1.mlp.up_proj.weight';
    expect(model.weights.readFloat32(name)).toEqual(tiny.weights.readFloat32(name));
    model.close();
    model.close();
  });

  it('refuses a missing tensor and a tensor of another shape', async () => {
    const without = await folder('without', (tensors) => tensors.delete('model.layers.1.mlp.up_proj.weight'));
    expect(await codeOfAsync(() => openModel(without))).toBe('model.tensor-missing');
    const odd = await folder('odd', (tensors) =>
      tensors.set('model.norm.weight', { shape: [8], data: new Float32Array(8) }),
    );
    expect(await codeOfAsync(() => openModel(odd))).toBe('model.tensor-shape');
  });
});

describe('references', () => {
  it('tells what is not there', async () => {
    expect(await codeOfAsync(() => openModel('no-such-model'))).toBe('model.not-found');
    expect(await codeOfAsync(() => openModel('smollm2-135m-instruct'))).toBe('model.not-found');
    expect(await codeOfAsync(() => openModel(home))).toBe('model.not-a-model');
    const text = join(home, 'notes.txt');
    writeFileSync(text, 'not a model');
    expect(await codeOfAsync(() => openModel(text))).toBe('model.not-a-model');
  });

  it('hashes a file again only when it has changed', async () => {
    const path = join(home, 'data.bin');
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    writeFileSync(path, 'one');
    expect(await rememberedSha256(path, home)).toBe(digest('one'));
    const memory = join(home, '.digests.json');
    writeFileSync(memory, readFileSync(memory, 'utf8').replace(digest('one'), 'remembered'));
    expect(await rememberedSha256(path, home)).toBe('remembered');
    utimesSync(path, 1, 1);
    expect(await rememberedSha256(path, home)).toBe(digest('one'));
    writeFileSync(memory, 'damaged');
    expect(await rememberedSha256(path, home)).toBe(digest('one'));
  });
});

it.skipIf(smollm2 === null)('opens SmolLM2 as the catalogue describes it', async () => {
  const model = await openModel(smollm2 ?? '');
  const entry = findInCatalogue('smollm2-135m-instruct');
  expect(model.identity).toEqual({ id: entry?.id, sha256: entry?.sha256, parameters: entry?.parameters });
  expect(model.configuration).toEqual(entry?.configuration);
  expect(model.tokenizer.endOfSequence).toEqual({ id: 2, text: '<|im_end|>' });
  expect(model.tokenizer.beginningOfSequence).toBeNull();
  model.close();
});
