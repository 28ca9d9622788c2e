/** @file The random numbers that decide what a training step drops. */

import { Tensor } from 'onnxruntime-node';

import type { Linear } from '../model/lora.ts';
import { Random } from '../random.ts';
import { MODULUS, WORDS } from './graphs/dropout.ts';

/** What a step drops is a function of these alone: equal seeds and steps drop the same places of each module. */
export interface DropoutDraw {
  /** Of the training. */
  readonly seed: readonly (string | number)[];
  /** Of the step within it, and of the batch within the step. */
  readonly step: readonly number[];
}

/** Feeds for `dropoutOf`; the columns' numbers are kept from step to step. */
export class DropoutFeeds {
  #columns: { readonly key: string; readonly tensor: Tensor } | null = null;

  /** @param modules those that the graph was built for, in their order */
  feeds(
    { seed, step }: DropoutDraw,
    modules: readonly Linear[],
    { batch, length }: { readonly batch: number; readonly length: number },
  ): Record<string, Tensor> {
    const random = new Random('dropout', ...seed, 'step', ...step);
    const rows = new Float32Array(batch * length * WORDS);
    for (let index = 0; index < rows.length; index++) {
      const word = random.uint32() % MODULUS;
      // One odd number a row makes its sum take every value equally often.
      rows[index] = (index % WORDS === 0 ? word | 1 : word) / MODULUS;
    }
    return {
      'dropout/rows': new Tensor('float32', rows, [batch, length, WORDS]),
      'dropout/columns': this.#columnsOf(seed, modules),
    };
  }

  #columnsOf(seed: DropoutDraw['seed'], modules: readonly Linear[]): Tensor {
    const key = JSON.stringify([seed, modules.map(({ module }) => module)]);
    if (this.#columns?.key === key) return this.#columns.tensor;
    const total = modules.reduce((sum, { shape }) => sum + shape[1], 0);
    const data = new Float32Array(total * WORDS);
    let at = 0;
    for (const { module, shape } of modules) {
      const random = new Random('dropout', ...seed, 'module', module);
      for (const end = at + shape[1] * WORDS; at < end; at++) data[at] = random.uint32() % MODULUS;
    }
    const tensor = new Tensor('float32', data, [total, WORDS]);
    this.#columns = { key, tensor };
    return tensor;
  }
}
