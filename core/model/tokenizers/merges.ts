/** @file Byte-pair merging: joins neighbouring symbols by the rank of their merge rule. */

export interface Merges {
  /** The symbol of a text: its token id, or a number past the ids for a text that only occurs within merges. */
  symbolOf(text: string): number;
  /** As `symbolOf`, but −1 for a text that no token and no rule knows. */
  find(text: string): number;
  /** Text of a symbol. */
  textOf(symbol: number): string;
  /** The symbol's token id, or null where it is none. */
  idOf(symbol: number): number | null;
  /**
   * Merges the symbols of a piece until no rule applies: always the rule of the lowest priority number, leftmost
   * first. Takes O(n log n) for n symbols, so that a text without a blank cannot stall it. Symbols of −1 stay.
   * @returns the remaining symbols and, for each, the index of its first input symbol
   */
  merge(symbols: readonly number[]): { symbols: number[]; starts: number[] };
}

/** Positions must stay below this, so that priority and position make one exact number. */
const LONGEST = 2 ** 28;

/**
 * @param vocabulary id of each text
 * @param rules pairs of texts, in the order of their priority unless that is given
 * @param priorities of each rule; rules of one priority apply from left to right
 */
export function createMerges(
  vocabulary: ReadonlyMap<string, number>,
  rules: Iterable<readonly [string, string]>,
  priorities?: readonly number[],
): Merges {
  const symbols = new Map(vocabulary);
  const texts: string[] = [];
  for (const [text, id] of vocabulary) texts[id] = text;
  const symbolOf = (text: string): number => {
    const known = symbols.get(text);
    if (known !== undefined) return known;
    const symbol = texts.length;
    symbols.set(text, symbol);
    texts.push(text);
    return symbol;
  };
  const pairs: (readonly [number, number])[] = [];
  const results: number[] = [];
  for (const [left, right] of rules) {
    pairs.push([symbolOf(left), symbolOf(right)]);
    results.push(symbolOf(left + right));
  }
  const ruleOf = ruleTable(pairs);
  const priorityOf = priorities ?? pairs.map((_, rule) => rule);
  return {
    symbolOf,
    find: (text) => symbols.get(text) ?? -1,
    textOf: (symbol) => texts[symbol],
    idOf: (symbol) => vocabulary.get(texts[symbol] ?? '') ?? null,
    merge: (input) => mergePiece(input, { ruleOf, priorityOf, results }),
  };
}

interface Rules {
  /** Index of the rule for a pair of symbols, or −1. */
  readonly ruleOf: (left: number, right: number) => number;
  readonly priorityOf: readonly number[];
  /** The symbol that each rule makes. */
  readonly results: readonly number[];
}

/** A hash table with open addressing: several times faster than a Map of numbers. */
function ruleTable(pairs: readonly (readonly [number, number])[]): Rules['ruleOf'] {
  const size = 2 ** Math.ceil(Math.log2(2 * pairs.length + 2));
  const lefts = new Int32Array(size);
  const rights = new Int32Array(size);
  const rules = new Int32Array(size).fill(-1);
  const slotOf = (left: number, right: number): number => {
    const mixed = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b);
    let slot = (mixed ^ (mixed >>> 15)) & (size - 1);
    while (rules[slot] >= 0 && (lefts[slot] !== left || rights[slot] !== right))
      slot = (slot + 1) & (size - 1);
    return slot;
  };
  pairs.forEach(([left, right], rule) => {
    const slot = slotOf(left, right);
    if (rules[slot] >= 0) return;
    lefts[slot] = left;
    rights[slot] = right;
    rules[slot] = rule;
  });
  return (left, right) => rules[slotOf(left, right)];
}

function mergePiece(input: readonly number[], { ruleOf, priorityOf, results }: Rules) {
  const count = input.length;
  const symbols = Int32Array.from(input);
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    next[index] = index + 1;
    previous[index] = index - 1;
  }
  const dead = new Uint8Array(count);
  const queue = createQueue();
  const ruleAt = (left: number): number =>
    next[left] < count ? ruleOf(symbols[left], symbols[next[left]]) : -1;
  const offer = (left: number): void => {
    const rule = left >= 0 ? ruleAt(left) : -1;
    if (rule >= 0) queue.push(priorityOf[rule] * LONGEST + left);
  };
  for (let index = 0; index + 1 < count; index++) offer(index);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    const left = key % LONGEST;
    const rule = dead[left] === 1 ? -1 : ruleAt(left);
    if (rule < 0 || priorityOf[rule] !== (key - left) / LONGEST) continue;
    const right = next[left];
    symbols[left] = results[rule];
    dead[right] = 1;
    next[left] = next[right];
    if (next[left] < count) previous[next[left]] = left;
    offer(previous[left]);
    offer(left);
  }
  const merged: number[] = [];
  const starts: number[] = [];
  for (let index = 0; index < count; index = next[index]) {
    merged.push(symbols[index]);
    starts.push(index);
  }
  return { symbols: merged, starts };
}

/** A binary heap of numbers, smallest first. */
function createQueue() {
  const heap: number[] = [];
  return {
    push(key: number): void {
      let at = heap.length;
      heap.push(key);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (heap[parent] <= key) break;
        heap[at] = heap[parent];
        at = parent;
      }
      heap[at] = key;
    },
    pop(): number | undefined {
      const smallest = heap[0];
      const key = heap.pop();
      if (key === undefined || heap.length === 0) return smallest;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = key;
      return smallest;
    },
  };
}
