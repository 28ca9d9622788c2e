import { describe, expect, it } from 'vitest';
import { targets, UNSUPERVISED, type EngineBatch } from '../../core/engine/batch.ts';
import { generationFeeds, logitsFeeds, lossFeeds } from '../../core/engine/feeds.ts';

const U = UNSUPERVISED;
/** One row padded on the right, one on the left; padding carries labels that must not count. */
const batch: EngineBatch = {
  batch: 2,
  length: 4,
  ids: Int32Array.of(5, 6, 7, 0, 0, 0, 8, 9),
  labels: Int32Array.of(5, U, 7, 3, U, 3, U, 9),
  mask: Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 1),
};

/** 1 where a place may be attended to. */
function open(mask: { data: unknown }): number[] {
  return Array.from(mask.data as Float32Array, (value) => {
    expect(value === 0 || value < -1e20).toBe(true);
    return value === 0 ? 1 : 0;
  });
}

describe('feeds of a batch', () => {
  it('attend to earlier tokens of the same row and never to padding', () => {
    const { mask } = logitsFeeds(batch, [2]);
    expect(mask.dims).toEqual([2, 1, 1, 4, 4]);
    expect(open(mask)).toEqual(
      [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
      ].flat(),
    );
  });

  it('count positions from 0 in every row, with left padding too', () => {
    expect([...(logitsFeeds(batch, [2]).positions.data as BigInt64Array)]).toEqual(
      [0, 1, 2, 3, 0, 1, 2, 3].map(BigInt),
    );
  });

  it('predict each supervised token from the place before it: not the first one, and none of padding', () => {
    const supervised = targets(batch);
    expect(supervised).toEqual({ rows: [1, 6], labels: [7, 9] });
    const { rows, labels, weights } = lossFeeds(batch, supervised, 0.25);
    expect([...(rows.data as BigInt64Array)]).toEqual([1n, 6n]);
    expect([...(labels.data as BigInt64Array)]).toEqual([7n, 9n]);
    expect([...(weights.data as Float32Array)]).toEqual([0.25, 0.25]);
    expect([rows.dims, labels.dims, weights.dims]).toEqual([[2], [2, 1], [2, 1]]);
  });
});

it('feeds of a continuation attend to all cached tokens and go on counting', () => {
  const { ids, positions, mask, rows } = generationFeeds([8, 9], 3);
  expect([...(ids.data as Int32Array)]).toEqual([8, 9]);
  expect([...(positions.data as BigInt64Array)]).toEqual([3n, 4n]);
  expect(mask.dims).toEqual([1, 1, 1, 2, 5]);
  expect(open(mask)).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
  expect([...(rows.data as BigInt64Array)]).toEqual([1n]);
});
