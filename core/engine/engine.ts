/** @file What a trainer asks of a model: losses, gradients and the next token's scores. */

import type { NamedTensors } from '../model/tensor.ts';
import type { WeightStore } from '../model/weights.ts';
import type { Precision } from './precisions.ts';
import type { EngineBatch } from './batch.ts';
import { keptPrompt, type KeptPrompt } from './decoding.ts';
import type { Device } from './devices.ts';
import { lossFeeds } from './feeds.ts';
import { continuation, logitsAt, type Continuation } from './generation.ts';
import { lossAndGradients, type Differentiated } from './gradients.ts';
import { lossGraph } from './graphs/loss.ts';
import type { PreferenceLoss } from './graphs/preference.ts';
import type { Parameters } from './parameters.ts';
import {
  clippedGradients,
  perExampleGradients,
  type ExampleGradients,
  type PerExampleOptions,
} from './per-example.ts';
import { preferenceGradients, type PairedBatch } from './preference.ts';
import { beginning, tokenLosses, type Beginning } from './scoring.ts';
import { float32, Sessions, type EngineAdapter, type EngineOptions } from './sessions.ts';

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
    const program = await this.#sessions.program('loss', adapter?.configuration ?? null, (plan) =>
      lossGraph(plan),
    );
    const count = batch.targets.places.length;
    if (count === 0) throw new Error('no token of the batch is supervised');
    const feeds = {
      ...lossFeeds(batch, 1 / count, this.#sessions.configuration.slidingWindow),
      ...this.#sessions.feeds(program, batch.length, adapter),
    };
    const results = await program.session.run(feeds, ['loss', 'nll']);
    return { loss: float32(results.loss)[0], tokenLosses: float32(results.nll) };
  }

  /**
   * The loss, and its gradients in the adapter's tensors, or in those of them that `gradients` has room for.
   * @param weights what each supervised token's loss counts, or one number for all; default 1 / their number, which
   * gives the token mean
   * @throws Error when no token of the batch is supervised
   */
  lossAndGradients(
    batch: EngineBatch,
    { gradients, dropout, ...adapter }: EngineAdapter & Omit<Differentiated, 'adapter' | 'weights'>,
    weights?: number | Float32Array,
  ): Promise<number> {
    return lossAndGradients(this.#sessions, batch, { adapter, gradients, dropout, weights });
  }

  /** The loss of the model alone, and its gradients in those weights that `gradients` has room for. */
  weightGradients(
    batch: EngineBatch,
    gradients: Parameters,
    weights?: number | Float32Array,
  ): Promise<number> {
    return lossAndGradients(this.#sessions, batch, { adapter: null, gradients, weights });
  }

  /** The gradients of each example's own loss: see {@link perExampleGradients}. */
  perExampleGradients(
    batch: EngineBatch,
    adapter: EngineAdapter,
    options: PerExampleOptions = {},
  ): Promise<ExampleGradients & { gradients: NamedTensors }> {
    const names = [...adapter.parameters.keys()];
    return perExampleGradients(this.#sessions, batch, adapter, { names, ...options });
  }

  /** The sum of the examples' gradients after each was clipped: see {@link clippedGradients}. */
  clippedGradients(
    batch: EngineBatch,
    adapter: EngineAdapter & { readonly gradients: Parameters; readonly bound: number },
    options?: PerExampleOptions,
  ): Promise<ExampleGradients> {
    return clippedGradients(this.#sessions, batch, adapter, options);
  }

  /** The loss of pairs of answers with its gradients: see {@link preferenceGradients}. */
  preferenceGradients(
    pairs: PairedBatch,
    adapter: EngineAdapter & { readonly gradients: Parameters; readonly objective: PreferenceLoss },
  ): Promise<{ loss: number; logProbabilities: Float64Array }> {
    return preferenceGradients(this.#sessions, pairs, adapter);
  }

  /** What many texts begin with, computed once for {@link tokenLosses}. */
  beginning(ids: Int32Array, adapter: EngineAdapter | null): Promise<Beginning> {
    return beginning(this.#sessions, { ids, adapter });
  }

  /** Negative log-likelihood of each target of a batch of one row, after a beginning that its texts share. */
  tokenLosses(batch: EngineBatch, adapter: EngineAdapter | null, after: Beginning): Promise<Float32Array> {
    return tokenLosses(this.#sessions, { batch, adapter, after });
  }

  /** Scores of what follows some places of a batch: see {@link logitsAt}. */
  logits(batch: EngineBatch, rows: readonly number[], adapter: EngineAdapter | null): Promise<Float32Array> {
    return logitsAt(this.#sessions, { batch, rows, adapter });
  }

  /** The tokens that continue a prompt, until the model's context is full: see {@link Continuation}. */
  generate(question: Continuation): AsyncGenerator<number, void, void> {
    return continuation(this.#sessions, question);
  }

  /** For continuations of prompts that begin alike, one after the other and with the same adapter. */
  keptPrompt(): KeptPrompt {
    return keptPrompt(this.#sessions);
  }

  /** Closes all sessions; what comes next is computed on `device`, in new ones. */
  reopen(device: Device): Promise<void> {
    return this.#sessions.reopen(device);
  }

  /** Frees all sessions and weights. */
  release(): Promise<void> {
    return this.#sessions.release();
  }
}
