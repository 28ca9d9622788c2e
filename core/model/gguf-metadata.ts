/** @file The metadata of a GGUF file for a model that is open, whatever it came as. */

import { architectures } from './architectures/table.ts';
import type { ModelConfiguration } from './configuration.ts';
import { ggufInMemory } from './gguf.ts';
import { GgufMetadata } from './gguf-writer.ts';
import { TOKENIZER_GGUF } from './model-folder.ts';
import type { ModelFiles } from './model-folder.ts';
import type { OpenModel } from './open.ts';
import { writeTokenizer } from './tokenizers/to-gguf.ts';

/** That of the file it came from, or its like; null where its tokenizer has no form in GGUF files. */
export function ggufMetadata(model: OpenModel): GgufMetadata | null {
  const files = model.files();
  const original = files[TOKENIZER_GGUF];
  if (original instanceof Uint8Array) return GgufMetadata.of(ggufInMemory(TOKENIZER_GGUF, original));
  const { configuration, tokenizer, identity } = model;
  const metadata = new GgufMetadata();
  writeConfiguration(metadata, configuration, identity.id);
  const json = parsed(files, 'tokenizer.json');
  if (!writeTokenizer(metadata, { json, tokenizer, rows: configuration.vocabularySize })) return null;
  const template = chatTemplate(files);
  return template === null ? metadata : metadata.string('tokenizer.chat_template', template);
}

function writeConfiguration(metadata: GgufMetadata, configuration: ModelConfiguration, name: string): void {
  const known = architectures.find(({ modelType }) => modelType === configuration.modelType);
  const architecture = known?.ggufName ?? 'llama';
  const { slidingWindow } = configuration;
  const of = (field: string) => `${architecture}.${field}`;
  metadata
    .string('general.architecture', architecture)
    .string('general.name', name)
    .uint32(of('block_count'), configuration.layers)
    .uint32(of('context_length'), configuration.maximumPositions)
    .uint32(of('embedding_length'), configuration.hiddenSize)
    .uint32(of('feed_forward_length'), configuration.intermediateSize)
    .uint32(of('attention.head_count'), configuration.attentionHeads)
    .uint32(of('attention.head_count_kv'), configuration.keyValueHeads)
    .uint32(of('attention.key_length'), configuration.headSize)
    .uint32(of('attention.value_length'), configuration.headSize)
    .float32(of('attention.layer_norm_rms_epsilon'), configuration.rmsNormEpsilon)
    .float32(of('rope.freq_base'), configuration.ropeTheta)
    .uint32(of('rope.dimension_count'), configuration.headSize)
    .uint32(of('vocab_size'), configuration.vocabularySize);
  if (slidingWindow !== undefined) metadata.uint32(of('attention.sliding_window'), slidingWindow);
}

function chatTemplate(files: ModelFiles): string | null {
  const file = files['chat_template.jinja'];
  if (file !== undefined) return Buffer.from(file).toString('utf8');
  const settings = parsed(files, 'tokenizer_config.json');
  const template =
    typeof settings === 'object' && settings && 'chat_template' in settings && settings.chat_template;
  return typeof template === 'string' ? template : null;
}

function parsed(files: ModelFiles, name: string): unknown {
  const file = files[name];
  return file === undefined ? null : JSON.parse(Buffer.from(file).toString('utf8'));
}
