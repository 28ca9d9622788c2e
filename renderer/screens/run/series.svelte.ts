/** @file The course of a run at this site: what is known of it when it is opened, and what comes while it is watched. */

import { bridge } from '../../bridge/bridge.ts';
import { toFailure } from '../../bridge/failure.ts';
import type { Failure } from '../../bridge/failure.ts';
import type { EventBody, Output } from '../../bridge/types.ts';
import { together } from '../../state/together.ts';
import { latest } from './latest.ts';

type Known = Output<'runs.series'>;

export class Series {
  steps: Known['steps'] = $state.raw([]);
  rounds: Known['rounds'] = $state.raw([]);
  stepsPerRound = $state(0);
  error: Failure | null = $state.raw(null);
  readonly #run: string;

  constructor(run: string) {
    this.#run = run;
  }

  /** Of the last step that is known. */
  get loss(): number | null {
    return this.steps.at(-1)?.loss ?? null;
  }

  /** Reads what is known and follows what comes; returns how to stop. */
  watch(): () => void {
    const arriving = together<EventBody<'series'>>((arrived) =>
      this.#merge(
        arrived.filter((event) => event.kind === 'step'),
        arrived.filter((event) => event.kind === 'round'),
      ),
    );
    const stop = bridge.on('series', (event) => {
      if (event.run === this.#run) arriving.add(event);
    });
    void this.load();
    return () => {
      stop();
      arriving.stop();
    };
  }

  async load(): Promise<void> {
    try {
      const known = await bridge.ask('runs.series', { run: this.#run });
      this.stepsPerRound = known.stepsPerRound;
      this.#merge(known.steps, known.rounds);
      this.error = null;
    } catch (thrown) {
      this.error = toFailure(thrown);
    }
  }

  /** A step or round that comes again replaces what was known of it: a repeated round counts once. */
  #merge(steps: Known['steps'], rounds: Known['rounds']): void {
    const last = this.steps.at(-1)?.step ?? 0;
    if (steps.length > 0) {
      this.steps = steps.every(({ step }) => step > last)
        ? [...this.steps, ...steps]
        : latest([...this.steps, ...steps], ({ step }) => step);
    }
    if (rounds.length > 0) {
      this.rounds = latest([...this.rounds, ...rounds], ({ round }) => round);
    }
  }
}
