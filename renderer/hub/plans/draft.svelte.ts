/** @file The plan that is being written, and what the hub says of it shortly after each change. */

import { bridge } from '../../bridge/bridge.ts';
import { toFailure } from '../../bridge/failure.ts';
import type { Failure } from '../../bridge/failure.ts';
import type { Output } from '../../bridge/types.ts';
import { withValue } from './fields.ts';
import type { PlanDraft, Value } from './fields.ts';

/** After the last change the hub is asked so soon. */
const PAUSE_MILLISECONDS = 250;

class Draft {
  plan: PlanDraft = $state.raw({});
  /** Of the plan as it was when the hub was last asked. */
  verdict: Output<'hub.plan.check'> | null = $state.raw(null);
  checking = $state(false);
  error: Failure | null = $state.raw(null);
  /** The preset that it began with. */
  preset = $state('');
  #timer: ReturnType<typeof setTimeout> | null = null;
  #latest = 0;

  set(path: string, value: Value | undefined): void {
    this.replace(withValue(this.plan, path, value));
  }

  replace(plan: PlanDraft): void {
    this.plan = plan;
    this.checking = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.check(), PAUSE_MILLISECONDS);
  }

  async check(): Promise<void> {
    const mine = ++this.#latest;
    this.checking = true;
    try {
      const verdict = await bridge.ask('hub.plan.check', { plan: this.plan });
      if (mine !== this.#latest) return;
      this.verdict = verdict;
      this.error = null;
    } catch (thrown) {
      if (mine === this.#latest) this.error = toFailure(thrown);
    } finally {
      if (mine === this.#latest) this.checking = false;
    }
  }

  problemAt(path: string): string | null {
    return this.verdict?.problems.find(({ field }) => field === path)?.message ?? null;
  }
}

/** One for the window: who looks at another screen comes back to what was written. */
export const draft = new Draft();
