/** @file What a trainer asks of a model: loss, gradients and the next token's scores. */

import { Tensor } from 'onnxruntime-node';

import type { LoraConfiguration } from '../model/lora.ts';
import type { WeightStore } from '../model/weights.ts';
import type { Precision } from './base-weights.ts';
import type { EngineBatch } from './batch.ts';
import type { Device } from './devices.ts';
import { lossFeeds } from './feeds.ts';
import { continuation, logitsAt } from './generation.ts';
import { lossGraph } from './graphs/loss.ts';
import type { PreferenceLoss } from './graphs/preference.ts';
import type { Parameters } from './parameters.ts';
import { preferenceGradients, type PairedBatch } from './preference.ts';
import { float32, Sessions, type EngineAdapter, type EngineOptions, type Program } from './sessions.ts';

export type { Device } from './devices.ts';
export type { EngineAdapter, EngineOptions } from './sessions.ts';

/** Computes with one base model until `release`. Tensors that were returned stay valid after it. */
export class Engine {
  readonly #sessions: Sessions;

  /** @throws TributaryError `engine.precision-unavailable` */
  constructor(store: WeightStore, options: EngineOptions) {
    this.#sessions = new Sessions(store, options);
  }

  get precision(): Precision {
    return this.#sessions.precision;
  }

  get device(): Device {
    return this.#sessions.device;
  }

  get threads(): number {
    return this.#sessions.threads;
  }

  /** Number of sessions that are open. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * Negative log-likelihood of each supervised token, example by example, and their mean.
   * @throws Error when no token of the batch is supervised
   */
  async loss(
    batch: EngineBatch,
    adapter: EngineAdapter | null,
  ): Promise<{ loss: number; tokenLosses: Float32Array }> {
    const program = await this.#lossProgram(adapter?.configuration ?? null, { gradients: false });
    const results = await this.#runLoss(program, { batch, adapter, outputs: ['loss', 'nll'] });
    return { loss: float32(results.loss)[0], tokenLosses: float32(results.nll) };
  }

  /**
   * The loss, and its gradients in the adapter's tensors written into `gradients` (same names and shapes).
   * @param weights what each supervised token's loss counts, or one number for all; default 1 / their number, which
   * gives the token mean
   */
  async lossAndGradients(
    batch: EngineBatch,
    adapter: EngineAdapter & { readonly gradients: Parameters },
    weights?: number | Float32Array,
  ): Promise<number> {
    const program = await this.#lossProgram(adapter.configuration, { gradients: true });
    const outputs: Record<string, Tensor | null> = { loss: null };
    for (const [name, { data, shape }] of adapter.gradients.tensors) {
      outputs[`gradient/${name}`] = new Tensor('float32', data, [...shape]);
    }
    const results = await this.#runLoss(program, { batch, adapter, weights, outputs });
    return float32(results.loss)[0];
  }

  /** The loss of pairs of answers with its gradients: see {@link preferenceGradients}. */
  preferenceGradients(
    pairs: PairedBatch,
    adapter: EngineAdapter & { readonly gradients: Parameters; readonly objective: PreferenceLoss },
  ): Promise<{ loss: number; logProbabilities: Float64Array }> {
    return preferenceGradients(this.#sessions, pairs, adapter);
  }

  /** Scores of what follows some places of a batch: see {@link logitsAt}. */
  logits(batch: EngineBatch, rows: readonly number[], adapter: EngineAdapter | null): Promise<Float32Array> {
    return logitsAt(this.#sessions, { batch, rows, adapter });
  }

  /** Continues a prompt: see {@link continuation}. */
  generate(
    prompt: readonly number[],
    adapter: EngineAdapter | null,
    choose: (logits: Float32Array) => number,
  ): AsyncGenerator<number, void, void> {
    return continuation(this.#sessions, { prompt, adapter, choose });
  }

  /** Frees all sessions and weights. */
  release(): Promise<void> {
    return this.#sessions.release();
  }

  #lossProgram(adapter: LoraConfiguration | null, options: { gradients: boolean }): Promise<Program> {
    return this.#sessions.program(options.gradients ? 'gradients' : 'loss', adapter, (plan) =>
      lossGraph(plan, options),
    );
  }

  async #runLoss(
    program: Program,
    run: {
      batch: EngineBatch;
      adapter: EngineAdapter | null;
      weights?: number | Float32Array;
      outputs: readonly string[] | Record<string, Tensor | null>;
    },
  ): Promise<Record<string, Tensor>> {
    const count = run.batch.targets.places.length;
    if (count === 0) throw new Error('no token of the batch is supervised');
    const feeds = {
      ...lossFeeds(run.batch, run.weights ?? 1 / count, this.#sessions.configuration.slidingWindow),
      ...this.#sessions.feeds(program, run.batch.length, run.adapter),
    };
    return await program.session.run(feeds, run.outputs);
  }
}
