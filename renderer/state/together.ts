/** @file What comes faster than a person can read is shown together, so that a page is drawn a few times a second. */

/** Milliseconds in which things are gathered. */
const GATHERED = 100;

export interface Gathering<Item> {
  add(item: Item): void;
  /** Forgets what has not been handed on yet. */
  stop(): void;
}

/** Hands on what was added, in its order, soon after the first. A timer, since a hidden page draws no frames. */
export function together<Item>(take: (items: readonly Item[]) => void): Gathering<Item> {
  let items: Item[] = [];
  let timer: number | null = null;
  const hand = (): void => {
    timer = null;
    const taken = items;
    items = [];
    take(taken);
  };
  return {
    add: (item) => {
      items.push(item);
      timer ??= window.setTimeout(hand, GATHERED);
    },
    stop: () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      items = [];
    },
  };
}
