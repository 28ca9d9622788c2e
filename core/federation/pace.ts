/**
 * @file How many chunks may be under way: many on a fast link, few on a slow one, where all that is under way is lost
 * when it breaks. Acknowledgements that take longer than the quickest one so far betray a queue (as in TCP Vegas,
 * Brakmo and Peterson, 1994).
 */

import { machine } from '../machine.ts';

/** A queue may hold what the link carries in so many seconds. */
const QUEUE_SECONDS = 0.15;

export interface Pace {
  /** Chunks that may be under way now. */
  allowed(): number;
  sent(index: number): void;
  acknowledged(index: number): void;
}

/** `most` chunks are never exceeded; `now` gives seconds since any fixed moment. */
export function createPace(most: number, now: () => number = () => machine.now() / 1000): Pace {
  const begun = new Map<number, number>();
  // One chunk first: several would wait together where the other side begins late, and their queue would pass for the way.
  let allowed = 1;
  let quickest = Infinity;
  /** Chunks sent before it tell nothing of the window as it is since. */
  let shrunk = -Infinity;
  return {
    allowed: () => Math.max(1, Math.floor(allowed)),
    sent: (index) => void begun.set(index, now()),
    acknowledged: (index) => {
      const start = begun.get(index);
      begun.delete(index);
      if (start === undefined) return;
      const seconds = now() - start;
      quickest = Math.min(quickest, seconds);
      if (seconds <= quickest + QUEUE_SECONDS) {
        // Doubles in the time of one acknowledgement at first, grows by one later.
        allowed = Math.min(most, allowed + (shrunk === -Infinity ? 1 : 1 / allowed));
      } else if (start > shrunk) {
        allowed = Math.max(1, allowed / 2);
        shrunk = now();
      }
    },
  };
}
