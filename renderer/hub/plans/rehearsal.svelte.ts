/** @file The rehearsal of the plan that is being written: asked for once, then looked at until no site is to answer. */

import { bridge } from '../../bridge/bridge.ts';
import { toFailure } from '../../bridge/failure.ts';
import type { Failure } from '../../bridge/failure.ts';
import type { Output } from '../../bridge/types.ts';
import type { PlanDraft } from './fields.ts';

const LOOK_MILLISECONDS = 1000;

class Rehearsal {
  report: Output<'hub.rehearsal'> | null = $state.raw(null);
  error: Failure | null = $state.raw(null);
  /** The plan that was rehearsed; another one since makes the report that of an earlier plan. */
  plan: PlanDraft | null = $state.raw(null);
  #id: string | null = null;

  async begin(plan: PlanDraft): Promise<void> {
    this.report = null;
    this.error = null;
    this.plan = plan;
    try {
      const { rehearsal } = await bridge.ask('hub.rehearse', { plan });
      this.#id = rehearsal;
      await this.#look(rehearsal);
    } catch (thrown) {
      this.error = toFailure(thrown);
    }
  }

  async #look(id: string): Promise<void> {
    while (this.#id === id) {
      this.report = await bridge.ask('hub.rehearsal', { rehearsal: id });
      const mayChange = this.report.sites.some(({ state }) => state !== 'measured' && state !== 'refused');
      if (!mayChange) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }
}

/** One for the window, as the draft is. */
export const rehearsal = new Rehearsal();
