import { describe, expect, it } from 'vitest';
import { paddedBatch, UNSUPERVISED, type EngineBatch } from '../../core/engine/batch.ts';
import { generationFeeds, logitsFeeds, lossFeeds } from '../../core/engine/feeds.ts';

const U = UNSUPERVISED;
/** One row padded on the right, one on the left. */
const batch = paddedBatch(
  [
    { ids: [5, 6, 7], labels: [5, U, 7] },
    { ids: [8, 9], labels: [U, 9], start: 2 },
  ],
  0,
);

/** Two texts that begin alike, 1 2 | 3 4 and 1 2 | 5, and after them another text, 6 7. */
const tree: EngineBatch = {
  batch: 1,
  length: 8,
  ids: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 0),
  positions: Int32Array.of(0, 1, 2, 3, 2, 0, 1, 0),
  segments: [
    { row: 0, start: 0, length: 2, parent: null },
    { row: 0, start: 2, length: 2, parent: 0 },
    { row: 0, start: 4, length: 1, parent: 0 },
    { row: 0, start: 5, length: 2, parent: null },
  ],
  targets: {
    places: Int32Array.of(1, 1),
    labels: Int32Array.of(3, 5),
    examples: Int32Array.of(0, 1),
  },
  examples: 3,
};

/** 1 where a place may be attended to. */
function open(mask: { data: unknown }): number[] {
  return Array.from(mask.data as Float32Array, (value) => {
    expect(value === 0 || value < -1e20).toBe(true);
    return value === 0 ? 1 : 0;
  });
}
const bigints = ({ data }: { data: unknown }) => Array.from(data as BigInt64Array, Number);

describe('feeds of a batch', () => {
  it('attend to earlier tokens of the same row and never to padding', () => {
    const { mask } = logitsFeeds(batch, [2]);
    expect(mask.dims).toEqual([2, 1, 1, 4, 4]);
    expect(open(mask)).toEqual(
      [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
      ].flat(),
    );
  });

  it('attend to what a text shares with others, and not to the others', () => {
    expect(open(logitsFeeds(tree, [0]).mask)).toEqual(
      [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
      ].flat(),
    );
  });

  it('attend no further back in a text than the sliding window', () => {
    expect(open(lossFeeds(tree, 1, 2).mask)).toEqual(
      [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 0, 0],
        [0, 1, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
      ].flat(),
    );
  });

  it('count positions from 0 in every text', () => {
    expect(bigints(logitsFeeds(batch, [2]).positions)).toEqual([0, 1, 2, 0, 0, 0, 0, 1]);
    expect(bigints(logitsFeeds(tree, [2]).positions)).toEqual([0, 1, 2, 3, 2, 0, 1, 0]);
  });

  it('predict each supervised token from the place before it, and no first one', () => {
    expect(batch.targets).toEqual({
      places: Int32Array.of(1, 6),
      labels: Int32Array.of(7, 9),
      examples: Int32Array.of(0, 1),
    });
    const { rows, labels, weights } = lossFeeds(batch, 0.25);
    expect(bigints(rows)).toEqual([1, 6]);
    expect(bigints(labels)).toEqual([7, 9]);
    expect([...(weights.data as Float32Array)]).toEqual([0.25, 0.25]);
    expect([rows.dims, labels.dims, weights.dims]).toEqual([[2], [2, 1], [2, 1]]);
    expect([...(lossFeeds(tree, Float32Array.of(0.5, -1)).weights.data as Float32Array)]).toEqual([0.5, -1]);
  });
});

it('feeds of a continuation attend to all cached tokens and go on counting', () => {
  const { ids, positions, mask, rows } = generationFeeds([8, 9], 3);
  expect([...(ids.data as Int32Array)]).toEqual([8, 9]);
  expect(bigints(positions)).toEqual([3, 4]);
  expect(mask.dims).toEqual([1, 1, 1, 2, 5]);
  expect(open(mask)).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
  expect(bigints(rows)).toEqual([1]);
});

it('feeds of a continuation attend no further back than the sliding window', () => {
  expect(open(generationFeeds([8, 9], 3, 2).mask)).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 1, 1]);
});
