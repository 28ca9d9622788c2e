/** @file Into which batches a step is divided: each is computed on its own, and their gradients are summed. */

import { cheapestRows, costOf, measure } from './rows.ts';
import type { TokenExample } from './tokens.ts';

/**
 * What a batch costs besides its places, in places: to read and rearrange all weights, forward and backward. Measured
 * 33 for float32 and 72 for four-bit weights of the model of {@link costOf}.
 */
const BATCH_COST = 50;
/** Batches are not joined beyond this: what they cost by themselves is small then, and memory grows with places. */
const MOST_PLACES = 1024;

interface Part {
  /** Ascending. */
  readonly items: readonly number[];
  readonly places: number;
  readonly cost: number;
}

/**
 * Divides the items of a step, of one example or several that belong together, such that the estimated cost of all
 * batches is small: items of like length or with much in common come together, and a long one stands alone. Starts
 * with each item by itself and joins the two parts whose union saves most as long as there are any. Equal items
 * give equal parts; both the parts and the items of a part keep their order.
 * @param examplesOf the examples of an item
 * @param most items in a batch at most
 */
export function divideStep<Item>(
  items: readonly Item[],
  examplesOf: (item: Item) => readonly TokenExample[],
  most = Infinity,
): Item[][] {
  const numbers: number[][] = [];
  const examples: TokenExample[] = [];
  for (const item of items) {
    numbers.push(examplesOf(item).map((example) => examples.push(example) - 1));
  }
  const measured = measure(examples, true);
  const partOf = (members: readonly number[]): Part => {
    const chosen = cheapestRows(
      members.flatMap((item) => numbers[item]),
      measured,
    );
    const places = chosen.rows.length * chosen.length;
    return { items: members, places, cost: BATCH_COST + costOf(chosen) };
  };
  const unionOf = (one: Part, other: Part) => {
    const whole = partOf([...one.items, ...other.items].sort((a, b) => a - b));
    const allowed = whole.items.length <= most && whole.places <= MOST_PLACES;
    return { one, other, whole, saved: allowed ? one.cost + other.cost - whole.cost : 0 };
  };
  let parts = items.map((_, item) => partOf([item]));
  let unions = parts
    .flatMap((one, index) => parts.slice(0, index).map((other) => unionOf(other, one)))
    .filter(({ saved }) => saved > 0);
  while (unions.length > 0) {
    const { one, other, whole } = unions.reduce((best, union) => (union.saved > best.saved ? union : best));
    const isLeft = (part: Part) => part !== one && part !== other;
    parts = parts.filter(isLeft);
    unions = unions
      .filter((union) => isLeft(union.one) && isLeft(union.other))
      .concat(parts.map((part) => unionOf(part, whole)).filter(({ saved }) => saved > 0));
    parts.push(whole);
  }
  return parts
    .sort((a, b) => a.items[0] - b.items[0])
    .map(({ items: members }) => members.map((item) => items[item]));
}
