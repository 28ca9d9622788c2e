/** @file LoRA (Hu et al., 2021): which linears it adapts, under which names, and how it starts. */

import { TributaryError } from '../errors.ts';
import { Random } from '../random.ts';
import type { ModelConfiguration } from './configuration.ts';
import type { NamedTensors, Tensor } from './tensor.ts';

/** What decides an adapter's tensors and how strongly they act. */
export interface LoraConfiguration {
  readonly rank: number;
  readonly alpha: number;
  /** Names of linears such as `q_proj`, or all of them. */
  readonly targets: 'all-linear' | readonly string[];
  /** Indices of the decoder layers whose linears are adapted; absent: all of them. PEFT's `layers_to_transform`. */
  readonly layers?: readonly number[];
  /** Scales by alpha / √rank instead of alpha / rank (rsLoRA; Kalajdzievski, 2023, arXiv 2312.03732). */
  readonly rankStabilized?: boolean;
  /** Share of a branch's inputs that a training step leaves out, each module its own; default none. */
  readonly dropout?: number;
}

/** What decides which linears an adapter changes. */
export type LoraChoice = Pick<LoraConfiguration, 'targets' | 'layers'>;

/** Which of a module's two matrices are trained: FFA-LoRA trains B alone, RoLoRA one after the other. */
export type Trainable = 'both' | 'A' | 'B';

/** A linear of the model; `shape` is [out, in]. */
export interface Linear {
  /** Module path without `.weight`, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly shape: readonly [number, number];
}

/** The seven linears of every decoder layer in the order layers, then q, k, v, o, gate, up, down. */
export function linears(configuration: ModelConfiguration): Linear[] {
  const { hiddenSize, intermediateSize, headSize } = configuration;
  const query = configuration.attentionHeads * headSize;
  const keyValue = configuration.keyValueHeads * headSize;
  const inLayer: readonly (readonly [string, readonly [number, number]])[] = [
    ['self_attn.q_proj', [query, hiddenSize]],
    ['self_attn.k_proj', [keyValue, hiddenSize]],
    ['self_attn.v_proj', [keyValue, hiddenSize]],
    ['self_attn.o_proj', [hiddenSize, query]],
    ['mlp.gate_proj', [intermediateSize, hiddenSize]],
    ['mlp.up_proj', [intermediateSize, hiddenSize]],
    ['mlp.down_proj', [hiddenSize, intermediateSize]],
  ];
  return Array.from({ length: configuration.layers }, (_, layer) =>
    inLayer.map(([name, shape]) => ({ module: `model.layers.${layer}.${name}`, shape })),
  ).flat();
}

/** `q_proj` of `model.layers.0.self_attn.q_proj`. */
export function shortName(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}

/** 0 of `model.layers.0.self_attn.q_proj`. */
function layerOf(module: string): number {
  return Number(module.split('.')[2]);
}

/**
 * The linears that the adapter changes.
 * @throws TributaryError `adapter.target-unknown` when a target or a layer names nothing in the model.
 */
export function targetedLinears(
  configuration: ModelConfiguration,
  { targets, layers }: LoraChoice,
): Linear[] {
  const all = linears(configuration);
  const known = [...new Set(all.map(({ module }) => shortName(module)))];
  const names = targets === 'all-linear' ? known : targets;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    throw new TributaryError(
      'adapter.target-unknown',
      `The model has no linear named ${unknown.join(', ') || '(empty list)'}; it has ${known.join(', ')}.`,
    );
  }
  const beyond = layers?.filter(
    (layer) => !(Number.isInteger(layer) && layer >= 0 && layer < configuration.layers),
  );
  if (layers?.length === 0 || (beyond && beyond.length > 0)) {
    throw new TributaryError(
      'adapter.target-unknown',
      `The model has no layer ${beyond?.join(', ') || '(empty list)'}; it has 0 to ${configuration.layers - 1}.`,
    );
  }
  return all.filter(
    ({ module }) => names.includes(shortName(module)) && (layers?.includes(layerOf(module)) ?? true),
  );
}

/** PEFT's names of a module's two LoRA tensors. */
export function loraNames(module: string): { A: string; B: string } {
  const prefix = `base_model.model.${module}`;
  return { A: `${prefix}.lora_A.weight`, B: `${prefix}.lora_B.weight` };
}

/** Names and shapes of an adapter's tensors: A [rank, in] then B [out, rank] of each targeted linear. */
export function loraShapes(
  configuration: ModelConfiguration,
  { rank, ...choice }: LoraChoice & Pick<LoraConfiguration, 'rank'>,
): { name: string; shape: readonly [number, number] }[] {
  return targetedLinears(configuration, choice).flatMap(({ module, shape: [out, into] }) => {
    const names = loraNames(module);
    return [
      { name: names.A, shape: [rank, into] as const },
      { name: names.B, shape: [out, rank] as const },
    ];
  });
}

/** Whether a tensor of an adapter, by its PEFT name, is one of those to be trained. */
export function isTrainable(name: string, trainable: Trainable): boolean {
  return trainable === 'both' || name.endsWith(`.lora_${trainable}.weight`);
}

/** The factor s in W + s·B·A. */
export function loraScale({ rank, alpha, rankStabilized }: LoraConfiguration): number {
  return alpha / (rankStabilized === true ? Math.sqrt(rank) : rank);
}

/**
 * PEFT's initialisation: A uniform in ±1/√in (Kaiming with a = √5), B zero, so that training starts at the base
 * model. Equal seeds give equal adapters on every machine; the weights of the model are not needed.
 */
export function initialAdapter(
  configuration: ModelConfiguration,
  adapter: LoraChoice & Pick<LoraConfiguration, 'rank'>,
  seed: number,
): NamedTensors {
  return new Map(
    loraShapes(configuration, adapter).map(({ name, shape }): [string, Tensor] => {
      const data = new Float32Array(shape[0] * shape[1]);
      if (name.endsWith('.lora_A.weight')) {
        const random = new Random('adapter', seed, name);
        const bound = 1 / Math.sqrt(shape[1]);
        for (let index = 0; index < data.length; index++) data[index] = (2 * random.uniform() - 1) * bound;
      }
      return [name, { shape, data }];
    }),
  );
}
