/** @file Something that is asked for: the answer, whether it is under way, and what went wrong. */

import { toFailure } from '../bridge/failure.ts';
import type { Failure } from '../bridge/failure.ts';

/** Only the answer to the latest question counts. */
export class Resource<Value> {
  value: Value | null = $state.raw(null);
  error: Failure | null = $state.raw(null);
  loading = $state(false);
  readonly #ask: () => Promise<Value>;
  #latest = 0;

  constructor(ask: () => Promise<Value>) {
    this.#ask = ask;
  }

  async load(): Promise<void> {
    const mine = ++this.#latest;
    this.loading = true;
    try {
      const value = await this.#ask();
      if (mine !== this.#latest) return;
      this.value = value;
      this.error = null;
    } catch (thrown) {
      if (mine === this.#latest) this.error = toFailure(thrown);
    } finally {
      if (mine === this.#latest) this.loading = false;
    }
  }
}

/** Something that a person sets off: whether it is under way and what went wrong. */
export class Action<Arguments extends readonly unknown[]> {
  busy = $state(false);
  error: Failure | null = $state.raw(null);
  readonly #act: (...given: Arguments) => Promise<void>;

  constructor(act: (...given: Arguments) => Promise<void>) {
    this.#act = act;
  }

  run = async (...given: Arguments): Promise<void> => {
    if (this.busy) return;
    this.busy = true;
    this.error = null;
    try {
      await this.#act(...given);
    } catch (thrown) {
      this.error = toFailure(thrown);
    } finally {
      this.busy = false;
    }
  };
}
