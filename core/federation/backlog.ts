/**
 * @file What waits in memory to be sent over many connections at once. Each may always have one message waiting; more
 * only as long as all of them together are few bytes. So a hub's memory does not grow with what its sites lag behind.
 */

export interface Backlog {
  /** Enters a connection. `wake` is called whenever there is room again. */
  enter(wake: () => void): BacklogEntry;
}

export interface BacklogEntry {
  /** So many bytes wait to be sent; returns what is to be called once they are. */
  add(bytes: number): () => void;
  /** Whether another message may wait. */
  hasRoom(): boolean;
  /** The connection is gone, and what it had. */
  leave(): void;
}

/** Together; a link is kept busy by what the system has taken of it. */
const MOST_BYTES = 2 ** 20;

export function createBacklog(most = MOST_BYTES): Backlog {
  let all = 0;
  const wakes = new Set<() => void>();
  const take = (bytes: number): void => {
    all -= bytes;
    if (all <= most / 2) for (const wake of wakes) wake();
  };
  return {
    enter: (wake) => {
      let own = 0;
      wakes.add(wake);
      return {
        add: (bytes) => {
          own += bytes;
          all += bytes;
          return () => {
            if (!wakes.has(wake)) return; // it has left
            own -= bytes;
            take(bytes);
          };
        },
        hasRoom: () => own === 0 || all < most,
        leave: () => {
          if (wakes.delete(wake)) take(own);
        },
      };
    },
  };
}
