/** @file Which examples a round trains on, and in which order. */

import { Random } from '../random.ts';

/**
 * The items of one round as `steps` batches. They are drawn at random without replacement until all have been seen,
 * then reshuffled for the next pass; a batch in which two passes meet may hold an item twice. Equal `seedParts` (seed,
 * round, site) give equal batches on every machine.
 * @throws Error when there are no items
 */
export function sampleRound<Item>({
  examples,
  batchSize,
  steps,
  seedParts,
}: {
  examples: readonly Item[];
  batchSize: number;
  steps: number;
  seedParts: readonly (string | number)[];
}): Item[][] {
  const drawn = drawIndices(examples.length, batchSize * steps, seedParts);
  return Array.from({ length: steps }, (_, step) =>
    drawn.slice(step * batchSize, (step + 1) * batchSize).map((index) => examples[index]),
  );
}

/** `count` indices below `size`: passes over all of them, each in its own random order. */
function drawIndices(size: number, count: number, seedParts: readonly (string | number)[]): number[] {
  if (size === 0) throw new Error('there are no examples to draw from');
  const drawn: number[] = [];
  for (let pass = 0; drawn.length < count; pass++) {
    for (const index of new Random(...seedParts, 'pass', pass).permutation(size)) {
      if (drawn.length < count) drawn.push(index);
    }
  }
  return drawn;
}
