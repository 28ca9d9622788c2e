/** @file How long running rounds have taken, in seconds during which the hub was up. */

import { transact } from '../database.ts';
import type { HubContext } from './context.ts';
import type { RoundRecord } from './records.ts';

export interface UptimeClock {
  /** Seconds of uptime that a round has taken. */
  readonly seconds: (round: RoundRecord) => number;
  /** Counts the time since the last call for every running round; writes it now and then. Throws where it cannot. */
  readonly tick: () => void;
  /** Counts and writes. */
  readonly save: () => void;
}

/** Seconds of a round that a crash may lose. */
const SAVE_EVERY_SECONDS = 5;

/** `uptime` gives seconds since any fixed moment; it stands still for a hub that is not running. */
export function createUptimeClock(
  { runs, store }: Pick<HubContext, 'runs' | 'store'>,
  uptime: () => number,
): UptimeClock {
  let last = uptime();
  /** By run, what is not written yet of its current round. */
  const unsaved = new Map<string, { readonly round: RoundRecord; seconds: number }>();

  const write = (): void => {
    transact(store.database, () => {
      for (const { round, seconds } of unsaved.values()) {
        const stored = runs.round(round.run, round.number);
        if (stored !== null) runs.setSeconds(round, stored.seconds + seconds);
      }
    });
    unsaved.clear();
  };

  const count = (): void => {
    const now = uptime();
    const elapsed = now - last;
    last = now;
    for (const run of runs.runs()) {
      const round = run.state === 'running' ? runs.currentRound(run.id) : null;
      if (round === null || round.phase === 'closed') continue;
      const entry = unsaved.get(run.id);
      if (entry?.round.number === round.number) entry.seconds += elapsed;
      else unsaved.set(run.id, { round, seconds: elapsed });
    }
  };

  return {
    tick() {
      count();
      if ([...unsaved.values()].some(({ seconds }) => seconds >= SAVE_EVERY_SECONDS)) write();
    },
    seconds(round) {
      count();
      const stored = runs.round(round.run, round.number)?.seconds ?? round.seconds;
      const entry = unsaved.get(round.run);
      return stored + (entry?.round.number === round.number ? entry.seconds : 0);
    },
    save() {
      count();
      write();
    },
  };
}
