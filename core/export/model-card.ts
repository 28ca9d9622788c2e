/** @file The model card that goes with an export: what it is, what it needs, and nothing of anybody's rows. */

import type { AdapterConfiguration } from '../model/adapter.ts';
import { findInCatalogue } from '../model/catalogue.ts';
import { TOKENIZER_GGUF } from '../model/model-folder.ts';
import type { ModelIdentity } from '../model/open.ts';
import type { ExportFormat } from './formats.ts';

export const MODEL_CARD = 'README.md';

/** How the adapter came about, as far as it is known and may be told to whoever gets the files. */
export interface Provenance {
  readonly kind: 'federated' | 'local';
  /** Name of the run, or of the training alone. */
  readonly run: string;
  readonly rounds: number | null;
  readonly steps: number | null;
  /** Unix seconds. */
  readonly created: number;
}

/** The card as Markdown, with the fields that model hubs read at its head. */
export function modelCard(about: {
  readonly base: Pick<ModelIdentity, 'id' | 'sha256'>;
  readonly adapter: AdapterConfiguration;
  readonly provenance?: Provenance;
  /** Of a merged model its form, the type of its weights and the names of its files; null for an adapter by itself. */
  readonly merged: {
    readonly format: Exclude<ExportFormat, 'peft'>;
    readonly type: string;
    readonly files: readonly string[];
  } | null;
}): string {
  const { base, adapter, provenance, merged } = about;
  const licence = findInCatalogue(base.id)?.licence;
  const head = [
    '---',
    ...cardLibrary(merged?.format ?? 'peft'),
    `base_model: ${JSON.stringify(base.id)}`,
    ...(licence === undefined ? [] : [`license: ${licence.toLowerCase()}`]),
    'pipeline_tag: text-generation',
    'tags: [lora, tributary]',
    '---',
  ];
  const scaling = adapter.rankStabilized === true ? 'alpha / √rank' : 'alpha / rank';
  const facts: (readonly [string, string])[] = [
    ['Base model', base.id],
    ['SHA-256 of the base model', `\`${base.sha256}\``],
    ...(licence === undefined ? [] : [['Licence of the base model', licence] as const]),
    ['Rank and alpha', `${adapter.rank}, ${adapter.alpha}; scaled by ${scaling}`],
    ['Adapted linears', adapter.targets.join(', ')],
    ...(merged === null ? [] : [['Weights', `merged, ${merged.type}`] as const]),
    ...(provenance === undefined ? [] : trainingFacts(provenance)),
  ];
  const use =
    merged === null
      ? 'An adapter: load it with PEFT on exactly this base model.'
      : `A whole model, ${USES[merged.format]}; the adapter is in its weights.${tokenizerNote(merged)}`;
  const rows = facts.map(([what, value]) => `| ${what} | ${value} |`);
  const title = merged === null ? `LoRA adapter for ${base.id}` : `${base.id} with its adapter merged`;
  const warning =
    'It was not examined for what it may repeat of the texts it was trained on. Evaluate it before it is used.';
  return [
    ...[...head, '', `# ${title}`, '', use, '', '| | |', '| --- | --- |', ...rows, ''],
    ...['Written by Tributary.', warning, ''],
  ].join('\n');
}

const USES = {
  merged: 'loaded like any other',
  gguf: 'one file for llama.cpp and what is built on it, tokenizer and chat template included',
  onnx: 'a graph for ONNX Runtime with the inputs and outputs of Hugging Face’s Optimum (text generation with past)',
} as const;

/** The library that a model hub names; GGUF files have none. */
function cardLibrary(format: ExportFormat): string[] {
  const library = { peft: 'peft', merged: 'transformers', gguf: null, onnx: 'transformers.js' }[format];
  return library === null ? [] : [`library_name: ${library}`];
}

/** A model that came as a GGUF file keeps its tokenizer in that form. */
function tokenizerNote({ files }: { readonly files: readonly string[] }): string {
  return files.includes(TOKENIZER_GGUF)
    ? ` Its tokenizer: \`AutoTokenizer.from_pretrained(folder, gguf_file='${TOKENIZER_GGUF}')\`.`
    : '';
}

function trainingFacts({ kind, run, rounds, steps, created }: Provenance): (readonly [string, string])[] {
  const how = kind === 'federated' ? 'by several sites, which kept their rows' : 'at one site alone';
  return [
    ['Trained', `${how} (${new Date(created * 1000).toISOString().slice(0, 10)})`],
    ['Run', run],
    ...(rounds === null ? [] : [['Rounds', String(rounds)] as const]),
    ...(steps === null ? [] : [['Steps', String(steps)] as const]),
  ];
}
