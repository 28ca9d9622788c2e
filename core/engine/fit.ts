/** @file How much a training step has to compute again so that it fits into the memory limit. */

import { TributaryError } from '../errors.ts';
import type { Device } from './devices.ts';
import type { ModelGraph } from './graphs/parts.ts';
import { RECOMPUTES, type Recompute } from './graphs/recompute.ts';
import { stepBytes, type Sizes } from './memory.ts';

/** Without a limit, on the CPU: an eighth to a sixth less memory for a step that takes one or two percent longer. */
const ON_CPU: Recompute = 'light';

export class Fit {
  readonly #fixed: Recompute | undefined;
  readonly #limit: number | undefined;
  readonly #unlimited: Recompute;
  /** Graphs that were built to estimate them, by what they compute again and by their key. */
  readonly #models = new Map<string, ModelGraph>();
  /** For each key what fitted the largest batch so far: a session that was left is seldom worth returning to. */
  readonly #chosen = new Map<string, Recompute>();

  constructor({
    recompute,
    memoryLimit,
    device,
  }: {
    readonly recompute?: Recompute;
    readonly memoryLimit?: number;
    readonly device: Device;
  }) {
    this.#fixed = recompute;
    this.#limit = memoryLimit;
    this.#unlimited = recompute ?? (device === 'cpu' ? ON_CPU : 'none');
  }

  /**
   * @param model builds the graph that computes so much again
   * @throws TributaryError `engine.out-of-memory`
   */
  choose({
    key,
    model,
    sizes,
    trained,
  }: {
    readonly key: string;
    readonly model: (recompute: Recompute) => ModelGraph;
    readonly sizes: Sizes;
    readonly trained: number;
  }): { readonly recompute: Recompute; readonly model?: ModelGraph } {
    const limit = this.#limit;
    if (limit === undefined) return { recompute: this.#unlimited };
    const candidates = this.#fixed
      ? [this.#fixed]
      : RECOMPUTES.slice(RECOMPUTES.indexOf(this.#chosen.get(key) ?? 'none'));
    let needed = 0;
    for (const recompute of candidates) {
      const name = `${recompute} ${key}`;
      const built = this.#models.get(name) ?? model(recompute);
      this.#models.set(name, built);
      needed = stepBytes(built, sizes, trained);
      if (needed > limit) continue;
      this.#chosen.set(key, recompute);
      return { recompute, model: built };
    }
    throw new TributaryError(
      'engine.out-of-memory',
      `A part of ${sizes.batch} × ${sizes.length} tokens needs about ${megabytes(needed)}, more than the limit of ${megabytes(limit)}.`,
    );
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
