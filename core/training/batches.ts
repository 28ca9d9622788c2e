/** @file Which examples a round trains on, and in which order. */

import { Random } from '../random.ts';

/**
 * The examples of one round as `steps` batches. Examples are drawn without replacement until all have been seen,
 * then reshuffled for the next pass. Within a pass batches hold examples of like length, so that padding is
 * small, and the batches follow each other in random order. Equal `seedParts` (seed, round, site) give equal
 * batches on every machine.
 * @throws Error when there are no examples
 */
export function sampleRound<Item extends { readonly ids: { readonly length: number } }>({
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
  // An example is as long as itself, so sorting brings its draws together: in a window no longer than a pass they
  // are two at the most, and two only where the window reaches into the next pass.
  const window = Math.max(1, Math.floor(examples.length / batchSize)) * batchSize;
  const batches: Item[][] = [];
  for (let start = 0; start < drawn.length; start += window) {
    const random = new Random(...seedParts, 'order', start);
    const sorted = drawn
      .slice(start, start + window)
      .sort((a, b) => examples[a].ids.length - examples[b].ids.length);
    for (const index of random.permutation(sorted.length / batchSize)) {
      const members = sorted.slice(index * batchSize, (index + 1) * batchSize);
      batches.push(members.map((member) => examples[member]));
    }
  }
  return batches;
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
