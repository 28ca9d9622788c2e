/** @file The sessions of one base model: what they share, how each is opened, and when they are freed. */

import { availableParallelism } from 'node:os';

import { Tensor } from 'onnxruntime-node';

import type { ModelConfiguration } from '../model/configuration.ts';
import { loraScale, targetedLinears, type LoraConfiguration } from '../model/lora.ts';
import { rotaryTables } from '../model/rope.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { WeightStore } from '../model/weights.ts';
import { BaseWeights } from './base-weights.ts';
import { type Precision } from './precisions.ts';
import { DecodingWeights } from './decoding-weights.ts';
import type { Device } from './devices.ts';
import { DropoutFeeds } from './dropout.ts';
import { Fit } from './fit.ts';
import { openGraph, type GraphSession, type SessionOptions } from './graph-session.ts';
import type { GraphPlan, ModelGraph } from './graphs/parts.ts';
import type { Recompute } from './graphs/recompute.ts';
import type { Sizes } from './memory.ts';

export type { Device } from './devices.ts';

export interface EngineOptions extends Omit<SessionOptions, 'threads'> {
  readonly precision: Precision;
  /** Threads inside one operator, default all cores; results repeat bit for bit with the same number. */
  readonly threads?: number;
  /**
   * What a backward pass computes again rather than keeps; default what the memory limit demands; without one
   * `light` on the CPU, else `none`.
   */
  readonly recompute?: Recompute;
  /** Bytes that a training step may take of this process; default no limit. */
  readonly memoryLimit?: number;
  /** Cache folder of this model alone, for prepared weights. */
  readonly cache: string;
}

/** An adapter as it takes part in a computation. */
export interface EngineAdapter {
  readonly configuration: LoraConfiguration;
  readonly parameters: NamedTensors;
}

/** A graph with its session. */
export interface Program {
  /** What the session is fed. */
  readonly model: Pick<ModelGraph, 'weights' | 'parameters'>;
  readonly session: GraphSession;
}

type GraphBuilder = (plan: GraphPlan) => ModelGraph;

/** Owns the base weights, which all sessions borrow, and one session per kind of graph and adapter shape. */
export class Sessions {
  readonly precision: Precision;
  readonly threads: number;
  readonly configuration: ModelConfiguration;
  readonly dropout = new DropoutFeeds();
  readonly decodingWeights: DecodingWeights;
  readonly #weights: BaseWeights;
  readonly #fit: Fit;
  #options: SessionOptions;
  readonly #programs = new Map<string, Promise<Program>>();
  #rotary: { count: number; cos: Tensor; sin: Tensor } | null = null;

  /** @throws TributaryError `engine.precision-unavailable` */
  constructor(store: WeightStore, options: EngineOptions) {
    this.precision = options.precision;
    this.threads = options.threads ?? availableParallelism();
    this.#fit = new Fit(options);
    this.configuration = store.configuration;
    this.#options = { device: options.device, threads: this.threads, profile: options.profile };
    this.decodingWeights = new DecodingWeights(store, options.cache);
    this.#weights = new BaseWeights(store, {
      precision: options.precision,
      device: options.device,
      folder: options.cache,
    });
  }

  get device(): Device {
    return this.#options.device;
  }

  /** Number of sessions that are open. */
  get size(): number {
    return this.#programs.size;
  }

  /**
   * The session of a kind of graph for adapters of this shape, opened at first use.
   * @param kind names what `build` makes; equal kinds must build equal graphs
   */
  program(kind: string, adapter: LoraConfiguration | null, build: GraphBuilder): Promise<Program> {
    const key = programKey(kind, this.configuration, adapter);
    return this.#program(key, () => build(this.#plan(adapter, 'none')));
  }

  /**
   * The session of a graph with a backward pass, which computes as little again as a batch of these sizes allows.
   * @param trained number of elements whose gradients it gives
   * @throws TributaryError `engine.out-of-memory` when the batch does not fit into the memory limit at all
   */
  async trainingProgram(question: {
    readonly kind: string;
    readonly adapter: LoraConfiguration | null;
    readonly build: GraphBuilder;
    readonly sizes: Sizes;
    readonly trained: number;
  }): Promise<Program> {
    const { kind, adapter, build } = question;
    await this.#weights.prepare();
    const key = programKey(kind, this.configuration, adapter);
    const model = (recompute: Recompute) =>
      build(trainingPlan(this.#weights, this.#plan(adapter, recompute)));
    const chosen = this.#fit.choose({ ...question, key, model });
    return this.#program(`${chosen.recompute} ${key}`, () => chosen.model ?? model(chosen.recompute));
  }

  #program(key: string, build: () => ModelGraph): Promise<Program> {
    const known = this.#programs.get(key);
    if (known) return known;
    const program = this.#open(build).catch((error: unknown) => {
      // The next use tries again: the disk may have room by then.
      this.#programs.delete(key);
      throw error;
    });
    this.#programs.set(key, program);
    return program;
  }

  #plan(adapter: LoraConfiguration | null, recompute: Recompute): GraphPlan {
    const { configuration, device } = this;
    return graphPlan(this.#weights, { configuration, device, adapter, recompute });
  }

  /** Feeds that do not depend on the batch: weights, rotary tables for `length` positions, adapter. */
  feeds({ model }: Program, length: number, adapter: EngineAdapter | null): Record<string, Tensor> {
    const parameters = [...(adapter?.parameters ?? [])].map(
      ([name, { data, shape }]) => [name, new Tensor('float32', data, [...shape])] as const,
    );
    return {
      ...this.#rotaryFeeds(length),
      ...this.#weights.feeds(model.weights),
      ...Object.fromEntries(parameters),
    };
  }

  /** Closes all sessions and keeps the weights; sessions are opened anew on `device` when they are used. */
  async reopen(device: Device): Promise<void> {
    await this.#closeAll();
    this.#options = { ...this.#options, device };
  }

  /** Closes all sessions and frees the weights. */
  async release(): Promise<void> {
    await this.#closeAll();
    this.#weights.clear();
    this.#rotary = null;
  }

  async #closeAll(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    for (const program of await Promise.allSettled(programs)) {
      if (program.status === 'fulfilled') await program.value.session.release();
    }
  }

  async #open(build: () => ModelGraph): Promise<Program> {
    await this.#weights.prepare();
    const { graph, weights, parameters, opening } = build();
    const model = { weights, parameters };
    if (opening) {
      const options = { ...this.#options, fused: opening.fused };
      return { model, session: await openGraph(graph, await opening.external(), options) };
    }
    const isExternal = weights.some((input) => this.#weights.isExternal(input));
    const external = isExternal ? await this.#weights.external() : null;
    return { model, session: await openGraph(graph, external, { ...this.#options, prepacked: false }) };
  }

  #rotaryFeeds(length: number): { cos: Tensor; sin: Tensor } {
    if (!this.#rotary || this.#rotary.count < length) {
      const count = Math.max(length, 512, 2 * (this.#rotary?.count ?? 0));
      const { cos, sin } = rotaryTables(this.configuration, count);
      const shape = [count, this.configuration.headSize / 2];
      this.#rotary = {
        count,
        cos: new Tensor('float32', cos, shape),
        sin: new Tensor('float32', sin, shape),
      };
    }
    return { cos: this.#rotary.cos, sin: this.#rotary.sin };
  }
}

/** Elements of the scores over a vocabulary that lie in memory at once: 24 MiB of float32. */
const SCORES = 6 * 2 ** 20;
/** Fewer rows than that would leave a matrix product too thin to be fast. */
const THINNEST = 16;

/** For so many places of a text attention's scores lie in memory at once, and those behind them are not computed. */
export const ATTENTION_ROWS = 128;

/** What graphs over these weights are built from. */
export function graphPlan(
  weights: BaseWeights,
  {
    device,
    ...rest
  }: Pick<GraphPlan, 'configuration' | 'adapter' | 'recompute'> & { readonly device: Device },
): GraphPlan {
  return {
    ...rest,
    packing: (tensor) => weights.packing(tensor),
    headCodes: weights.headCodes,
    ...(device === 'cpu' && {
      scoreRows: scoreRows(rest.configuration),
      attentionRows: ATTENTION_ROWS,
    }),
  };
}

/** The same for graphs with a backward pass. */
export function trainingPlan({ precision }: BaseWeights, plan: GraphPlan): GraphPlan {
  return { ...plan, halved: precision === 'int8' };
}

/** For how many rows scores lie in memory at once. */
export function scoreRows({ vocabularySize }: ModelConfiguration): number {
  return Math.max(THINNEST, Math.floor(SCORES / vocabularySize));
}

/** Adapters that change the same linears with the same rank and scale share their sessions. */
function programKey(kind: string, model: ModelConfiguration, adapter: LoraConfiguration | null): string {
  if (!adapter) return kind;
  const modules = targetedLinears(model, adapter).map(({ module }) => module);
  return JSON.stringify([kind, adapter.rank, loraScale(adapter), modules]);
}

/** The elements of a float32 result. */
export function float32(tensor: Tensor): Float32Array {
  if (!(tensor.data instanceof Float32Array)) throw new Error(`expected float32, got ${tensor.type}`);
  return tensor.data;
}
