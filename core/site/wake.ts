/**
 * @file Notices that this machine has slept: a laptop's connections are dead by then, and only a time-out would say so.
 * Some systems stop the steady clock meanwhile and some do not, so both clocks are looked at.
 */

import { machine } from '../machine.ts';

/** How often the clocks are looked at. */
const LOOK_MILLISECONDS = 2000;
/** A look that comes so much later than it should means sleep, or a process that was halted; the answer is the same. */
const SLEPT_MILLISECONDS = 8000;

export interface Wakes {
  /** Told whenever the machine has woken; returns how to stop. */
  listen(listener: () => void): () => void;
  close(): void;
}

/** A clock that is set forward looks the same; connections are then renewed for nothing, which loses nothing. */
export function watchForWakes(): Wakes {
  const listeners = new Set<() => void>();
  let [steady, wall] = [machine.now(), machine.date()];
  const looking = machine.startInterval(LOOK_MILLISECONDS, () => {
    const passed = Math.max(machine.now() - steady, machine.date() - wall);
    [steady, wall] = [machine.now(), machine.date()];
    if (passed <= LOOK_MILLISECONDS + SLEPT_MILLISECONDS) return;
    for (const listener of [...listeners]) listener();
  });
  return {
    listen: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => looking.cancel(),
  };
}
