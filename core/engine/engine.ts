/** @file ONNX Runtime sessions over one base model: loss, gradients and the next token's scores. */

import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { writeFileAtomically } from '../files.ts';
import { toOnnx } from '../graph/onnx.ts';
import { loraScale, targetedLinears, type LoraConfiguration } from '../model/lora.ts';
import { rotaryTables } from '../model/rope.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { WeightStore } from '../model/weights.ts';
import { BaseWeights, type Precision } from './base-weights.ts';
import { targets, type EngineBatch } from './batch.ts';
import { generationFeeds, logitsFeeds, lossFeeds } from './feeds.ts';
import { generationGraph, lossGraph, type ModelGraph } from './graphs.ts';
import type { Parameters } from './parameters.ts';

/** Where graphs run. */
export type Device = 'cpu';

export interface EngineOptions {
  readonly precision: Precision;
  readonly device: Device;
  /** Threads inside one operator, default all cores; results repeat bit for bit with the same number. */
  readonly threads?: number;
  /** Cache folder of this model alone, for prepared weights. */
  readonly cache: string;
}

/** An adapter as it takes part in a computation. */
export interface EngineAdapter {
  readonly configuration: LoraConfiguration;
  readonly parameters: NamedTensors;
}

type Kind = 'loss' | 'gradients' | 'generation';

/** A graph with its session. */
interface Program {
  readonly model: ModelGraph;
  readonly session: InferenceSession;
}

/**
 * Owns the base weights, which all sessions borrow, and one session per kind of graph and adapter shape, kept until
 * `release`. Tensors that were returned stay valid after it.
 */
export class Engine {
  readonly precision: Precision;
  readonly device: Device;
  readonly threads: number;
  readonly #configuration: WeightStore['configuration'];
  readonly #weights: BaseWeights;
  readonly #programs = new Map<string, Promise<Program>>();
  #rotary: { count: number; cos: Tensor; sin: Tensor } | null = null;

  /** @throws TributaryError `engine.precision-unavailable` */
  constructor(store: WeightStore, options: EngineOptions) {
    this.precision = options.precision;
    this.device = options.device;
    this.threads = options.threads ?? availableParallelism();
    this.#configuration = store.configuration;
    this.#weights = new BaseWeights(store, { precision: options.precision, folder: options.cache });
  }

  /** Number of sessions that are open. */
  get sessions(): number {
    return this.#programs.size;
  }

  /**
   * Negative log-likelihood of each supervised token, row by row, and their mean.
   * @throws Error when no token of the batch is supervised
   */
  async loss(
    batch: EngineBatch,
    adapter: EngineAdapter | null,
  ): Promise<{ loss: number; tokenLosses: Float32Array }> {
    const program = await this.#program('loss', adapter);
    const results = await this.#runLoss(program, { batch, adapter, outputs: ['loss', 'nll'] });
    return { loss: float32(results.loss)[0], tokenLosses: float32(results.nll) };
  }

  /**
   * The loss, and its gradients in the adapter's tensors written into `gradients` (same names and shapes).
   * @param share weight of each supervised token's loss; default 1 / their number, which gives the token mean
   */
  async lossAndGradients(
    batch: EngineBatch,
    adapter: EngineAdapter & { readonly gradients: Parameters },
    share?: number,
  ): Promise<number> {
    const program = await this.#program('gradients', adapter);
    const outputs: Record<string, Tensor | null> = { loss: null };
    for (const [name, { data, shape }] of adapter.gradients.tensors) {
      outputs[`gradient/${name}`] = new Tensor('float32', data, [...shape]);
    }
    const results = await this.#runLoss(program, { batch, adapter, share, outputs });
    return float32(results.loss)[0];
  }

  /**
   * Scores over the vocabulary of what follows each of some places of a batch.
   * @param rows flat positions, row · length + position
   * @returns row-major [rows, vocabularySize]
   */
  async logits(
    batch: EngineBatch,
    rows: readonly number[],
    adapter: EngineAdapter | null,
  ): Promise<Float32Array> {
    const program = await this.#program('generation', adapter);
    const feeds = {
      ...logitsFeeds(batch, rows),
      ...this.#emptyCache(batch.batch),
      ...this.#commonFeeds(program, batch.length, adapter),
    };
    const results = await program.session.run(feeds, ['logits']);
    return float32(results.logits);
  }

  /**
   * A continuation, token by token, with a cache of keys and values: the prompt is read in one go.
   * @param choose picks a token from its scores [vocabularySize]
   */
  async *generate(
    prompt: readonly number[],
    adapter: EngineAdapter | null,
    choose: (logits: Float32Array) => number,
  ): AsyncGenerator<number, void, void> {
    const program = await this.#program('generation', adapter);
    let past = this.#emptyCache(1);
    let seen = 0;
    let next: readonly number[] = prompt;
    for (;;) {
      const feeds = {
        ...generationFeeds(next, seen),
        ...past,
        ...this.#commonFeeds(program, seen + next.length, adapter),
      };
      const results = (await program.session.run(feeds)) as Record<string, Tensor>;
      past = Object.fromEntries(
        Object.keys(past).map((name) => [name, results[name.replace('past/', 'present/')]]),
      );
      seen += next.length;
      const token = choose(float32(results.logits));
      next = [token];
      yield token;
    }
  }

  /** Frees all sessions and weights. */
  async release(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    this.#weights.clear();
    this.#rotary = null;
    for (const program of await Promise.allSettled(programs)) {
      if (program.status === 'fulfilled') await program.value.session.release();
    }
  }

  async #runLoss(
    program: Program,
    run: {
      batch: EngineBatch;
      adapter: EngineAdapter | null;
      share?: number;
      outputs: readonly string[] | Record<string, Tensor | null>;
    },
  ): Promise<Record<string, Tensor>> {
    const supervised = targets(run.batch);
    if (supervised.rows.length === 0) throw new Error('no token of the batch is supervised');
    const feeds = {
      ...lossFeeds(run.batch, supervised, run.share ?? 1 / supervised.rows.length),
      ...this.#commonFeeds(program, run.batch.length, run.adapter),
    };
    return await program.session.run(feeds, run.outputs);
  }

  #commonFeeds({ model }: Program, length: number, adapter: EngineAdapter | null): Record<string, Tensor> {
    const parameters = [...(adapter?.parameters ?? [])].map(
      ([name, { data, shape }]) => [name, new Tensor('float32', data, [...shape])] as const,
    );
    return {
      ...this.#rotaryFeeds(length),
      ...this.#weights.feeds(model.weights),
      ...Object.fromEntries(parameters),
    };
  }

  /** The generation graph's inputs of keys and values before any token. */
  #emptyCache(batch: number): Record<string, Tensor> {
    const { layers, keyValueHeads, headSize } = this.#configuration;
    const parts = Array.from({ length: layers }, (_, layer) => [
      `past/${layer}/keys`,
      `past/${layer}/values`,
    ]);
    const empty = () => new Tensor('float32', new Float32Array(0), [batch, keyValueHeads, 0, headSize]);
    return Object.fromEntries(parts.flat().map((name) => [name, empty()]));
  }

  #program(kind: Kind, adapter: EngineAdapter | null): Promise<Program> {
    const configuration = adapter?.configuration ?? null;
    const key = programKey(kind, this.#configuration, configuration);
    const known = this.#programs.get(key);
    if (known) return known;
    const program = this.#createProgram(kind, configuration).catch((error: unknown) => {
      // The next use tries again: the disk may have room by then.
      this.#programs.delete(key);
      throw error;
    });
    this.#programs.set(key, program);
    return program;
  }

  async #createProgram(kind: Kind, adapter: LoraConfiguration | null): Promise<Program> {
    const packing = (tensor: string) => this.#weights.packing(tensor);
    const plan = { configuration: this.#configuration, packing, adapter };
    const model =
      kind === 'generation' ? generationGraph(plan) : lossGraph(plan, { gradients: kind === 'gradients' });
    const session = await this.#createSession(model);
    return { model, session };
  }

  async #createSession(model: ModelGraph): Promise<InferenceSession> {
    const options: InferenceSession.SessionOptions = {
      executionProviders: [this.device],
      // Fusions beyond this level unpack or repack weights, or use operators that other devices lack.
      graphOptimizationLevel: 'basic',
      intraOpNumThreads: this.threads,
      // A pattern is planned for one shape; with batches of many lengths it only costs memory.
      enableMemPattern: false,
      logSeverityLevel: 3,
      // Several sites may share one machine: a thread that waits must not burn a core.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    };
    if (!model.weights.some((input) => this.#weights.isExternal(input))) {
      return InferenceSession.create(toOnnx(model.graph), options);
    }
    const { data, folder } = await this.#weights.external();
    const bytes = toOnnx(model.graph, data);
    const path = join(folder, `${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}.onnx`);
    mkdirSync(folder, { recursive: true });
    await writeFileAtomically(path, bytes);
    return InferenceSession.create(path, options);
  }

  #rotaryFeeds(length: number): { cos: Tensor; sin: Tensor } {
    if (!this.#rotary || this.#rotary.count < length) {
      const count = Math.max(length, 512, 2 * (this.#rotary?.count ?? 0));
      const { cos, sin } = rotaryTables(this.#configuration, count);
      const shape = [count, this.#configuration.headSize / 2];
      this.#rotary = {
        count,
        cos: new Tensor('float32', cos, shape),
        sin: new Tensor('float32', sin, shape),
      };
    }
    return { cos: this.#rotary.cos, sin: this.#rotary.sin };
  }
}

/** Adapters that change the same linears with the same rank and scale share their sessions. */
function programKey(
  kind: Kind,
  model: WeightStore['configuration'],
  adapter: LoraConfiguration | null,
): string {
  if (!adapter) return kind;
  const modules = targetedLinears(model, adapter.targets).map(({ module }) => module);
  return JSON.stringify([kind, adapter.rank, loraScale(adapter), modules]);
}

function float32(tensor: Tensor): Float32Array {
  if (!(tensor.data instanceof Float32Array)) throw new Error(`expected float32, got ${tensor.type}`);
  return tensor.data;
}
