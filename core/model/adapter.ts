/** @file Adapter folders as PEFT 0.21 reads and writes them, plus `tributary.json`, which pins the base model. */

import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { writeFilesAtomically } from '../files.ts';
import { configurationSchema } from './catalogue.ts';
import type { ModelConfiguration } from './configuration.ts';
import { loraShapes, shortName, targetedLinears } from './lora.ts';
import type { LoraConfiguration } from './lora.ts';
import type { ModelIdentity } from './open.ts';
import { encodeSafetensors, readSafetensors } from './safetensors.ts';
import type { NamedTensors, Tensor } from './tensor.ts';

const CONFIGURATION = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';
const BASE = 'tributary.json';

/** How an adapter acts; `targets` is always a list of short names, such as `q_proj`. */
export interface AdapterConfiguration extends LoraConfiguration {
  readonly targets: readonly string[];
}

export interface Adapter {
  readonly configuration: AdapterConfiguration;
  /** In the order of the model's linears, A before B. */
  readonly tensors: NamedTensors;
}

/** The model an adapter belongs to. */
export interface AdapterBase {
  readonly identity: Pick<ModelIdentity, 'id' | 'sha256'>;
  readonly configuration: ModelConfiguration;
}

const layerIndex = z.number().int().nonnegative();
const peftSchema = z.looseObject({
  peft_type: z.string(),
  r: z.number().int().positive().max(65536),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  use_rslora: z.boolean().nullish(),
  layers_to_transform: z.union([layerIndex, z.array(layerIndex).min(1)]).nullish(),
  bias: z.string().default('none'),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});
type PeftConfiguration = z.infer<typeof peftSchema>;

/** Fields of PEFT that change what an adapter computes; only their empty values are understood. */
const mustBeEmpty = [
  'alora_invocation_tokens',
  'alpha_pattern',
  'arrow_config',
  'fan_in_fan_out',
  'kasa_config',
  'layer_replication',
  'lora_bias',
  'modules_to_save',
  'rank_pattern',
  'target_parameters',
  'trainable_token_indices',
  'use_bdlora',
  'use_dora',
  'use_qalora',
] as const;

/** Initialisations that leave the base model's weights as they are. */
const plainInitialisations: readonly unknown[] = [
  true,
  false,
  null,
  undefined,
  'gaussian',
  'eva',
  'orthogonal',
];

const baseSchema = z.object({
  format: z.literal(1),
  base: z.object({ id: z.string(), sha256: z.string(), configuration: configurationSchema }),
});

/**
 * Reads an adapter for a model and checks that it belongs to it: by the hash in `tributary.json`, or, in a folder
 * that PEFT wrote, by names and shapes of its tensors.
 * @throws TributaryError `adapter.not-found`, `adapter.damaged`, `adapter.unsupported`, `adapter.other-base`
 */
export function readAdapter(folder: string, model: AdapterBase): Adapter {
  const peft = readPeftConfiguration(folder);
  checkBase(folder, model);
  const found = readTensors(join(folder, TENSORS));
  const targets = targetsOf(folder, [...found.keys()], model);
  const layers = peft.layers_to_transform ?? undefined;
  const configuration: AdapterConfiguration = {
    rank: peft.r,
    alpha: peft.lora_alpha,
    targets,
    ...(layers !== undefined && { layers: [layers].flat() }),
    ...(peft.use_rslora === true && { rankStabilized: true }),
    ...(peft.lora_dropout > 0 && { dropout: peft.lora_dropout }),
  };
  const tensors = new Map<string, Tensor>();
  for (const { name, shape } of loraShapes(model.configuration, configuration)) {
    const tensor = found.get(name);
    if (tensor === undefined) throw otherBase(folder, `it has no tensor ${name}`, model);
    if (tensor.shape.join() !== shape.join()) {
      const difference = `${name} is ${tensor.shape.join(' × ')} and should be ${shape.join(' × ')}`;
      throw otherBase(folder, difference, model);
    }
    if (!tensor.data.every(Number.isFinite)) {
      throw new TributaryError(
        'adapter.damaged',
        `${folder}: the tensor ${name} holds numbers that are not finite.`,
      );
    }
    tensors.set(name, tensor);
  }
  return { configuration, tensors };
}

/**
 * The model that an adapter's folder names as its own; null where it names none, as in folders that PEFT wrote.
 * @throws TributaryError `adapter.damaged`
 */
export function readAdapterBase(folder: string): AdapterBase | null {
  const path = join(folder, BASE);
  if (!existsSync(path)) return null;
  const parsed = baseSchema.safeParse(readJson(path));
  if (!parsed.success)
    throw new TributaryError('adapter.damaged', `${path} does not say which model it belongs to.`);
  const { id, sha256, configuration } = parsed.data.base;
  return { identity: { id, sha256 }, configuration };
}

/**
 * Writes the folder: all of its files or, on a full disk, none of them.
 * @throws TributaryError `disk.full`, `file.*`, `adapter.target-unknown`
 */
export async function writeAdapter(
  folder: string,
  adapter: {
    readonly configuration: LoraConfiguration;
    readonly tensors: NamedTensors;
  },
  base: AdapterBase,
): Promise<void> {
  const { configuration, tensors } = adapter;
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const origin = { id: base.identity.id, sha256: base.identity.sha256, configuration: base.configuration };
  const peft = peftConfiguration(configuration, base);
  try {
    await mkdir(folder, { recursive: true });
    const files = {
      [CONFIGURATION]: json(peft),
      [BASE]: json({ format: 1, base: origin }),
      [TENSORS]: encodeSafetensors(tensors),
    };
    await writeFilesAtomically(folder, files, 0o644);
  } catch (error) {
    throw toTributaryError(error);
  }
}

/** Every field that PEFT 0.21 knows by default and that has a meaning for plain LoRA. */
function peftConfiguration(configuration: LoraConfiguration, base: AdapterBase) {
  const { rank, alpha, layers } = configuration;
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base.identity.id,
    bias: 'none',
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: layers ?? null,
    lora_alpha: alpha,
    lora_bias: false,
    lora_dropout: configuration.dropout ?? 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules: shortNames(
      targetedLinears(base.configuration, configuration).map(({ module }) => module),
    ),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: configuration.rankStabilized === true,
  };
}

function shortNames(modules: readonly string[]): string[] {
  return [...new Set(modules.map(shortName))];
}

function readPeftConfiguration(folder: string): PeftConfiguration {
  const path = join(folder, CONFIGURATION);
  const parsed = peftSchema.safeParse(readJson(path));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new TributaryError(
      'adapter.damaged',
      `${path}: the field ${issue.path.join('.')} is wrong: ${issue.message}.`,
    );
  }
  const configuration = parsed.data;
  const unsupported = (field: string, value: unknown) =>
    new TributaryError(
      'adapter.unsupported',
      `${path} has ${field} = ${JSON.stringify(value)}, not supported.`,
    );
  if (configuration.peft_type !== 'LORA') throw unsupported('peft_type', configuration.peft_type);
  if (configuration.bias !== 'none') throw unsupported('bias', configuration.bias);
  if (!plainInitialisations.includes(configuration.init_lora_weights)) {
    throw unsupported('init_lora_weights', configuration.init_lora_weights);
  }
  for (const field of mustBeEmpty) {
    const value = configuration[field];
    const isEmpty = !value || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!isEmpty) throw unsupported(field, value);
  }
  return configuration;
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TributaryError('adapter.not-found', `There is no readable ${path}.`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('adapter.damaged', `${path} is not JSON.`, { cause });
  }
}

function checkBase(folder: string, model: AdapterBase): void {
  const base = readAdapterBase(folder);
  if (base === null) return;
  const { id, sha256 } = base.identity;
  if (sha256 !== model.identity.sha256) {
    const short = (hash: string) => hash.slice(0, 12);
    throw otherBase(folder, `it was made for ${id} (sha256 ${short(sha256)}…)`, model);
  }
}

function otherBase(folder: string, why: string, { identity }: AdapterBase): TributaryError {
  const model = `${identity.id} (sha256 ${identity.sha256.slice(0, 12)}…)`;
  return new TributaryError('adapter.other-base', `The adapter ${folder} does not fit ${model}: ${why}.`);
}

function readTensors(path: string): ReadonlyMap<string, Tensor> {
  if (!existsSync(path)) throw new TributaryError('adapter.not-found', `There is no ${path}.`);
  try {
    return readSafetensors(path);
  } catch (error) {
    const { message, code } = toTributaryError(error);
    const isType = code === 'model.unsupported-tensor-type';
    throw new TributaryError(isType ? 'adapter.unsupported' : 'adapter.damaged', message, { cause: error });
  }
}

/** The short names of the modules that the tensors belong to, in the order of the model's linears. */
function targetsOf(folder: string, names: readonly string[], model: AdapterBase): string[] {
  const modules = new Set<string>();
  for (const name of names) {
    const module = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];
    if (module === undefined) {
      throw new TributaryError(
        'adapter.unsupported',
        `${folder} has the tensor ${name}, which plain LoRA has not.`,
      );
    }
    modules.add(module);
  }
  const all = targetedLinears(model.configuration, { targets: 'all-linear' }).map(({ module }) => module);
  const stranger = [...modules].find((module) => !all.includes(module));
  if (stranger !== undefined)
    throw otherBase(folder, `it changes ${stranger}, which the model has not`, model);
  if (modules.size === 0) throw new TributaryError('adapter.damaged', `${folder} holds no tensors.`);
  return shortNames(all.filter((module) => modules.has(module)));
}
