/** @file From token ids to the inputs of the graphs. */

import { Tensor } from 'onnxruntime-node';

import type { EngineBatch } from './batch.ts';

/** Added to a score that must not be attended to: finite, so that a row of padding alone gives no NaN. */
const MASKED = -1e30;

/** Causal and padding mask, [batch, 1, 1, length, length]. */
function attentionMask({ batch, length, mask }: EngineBatch): Tensor {
  const data = new Float32Array(batch * length * length).fill(MASKED);
  for (let row = 0, at = 0; row < batch; row++) {
    for (let query = 0; query < length; query++, at += length) {
      for (let key = 0; key <= query; key++) {
        if (mask[row * length + key] === 1) data[at + key] = 0;
      }
    }
  }
  return new Tensor('float32', data, [batch, 1, 1, length, length]);
}

/** int64 tensor of the given numbers. */
function integers(values: readonly number[], shape: readonly number[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(values, BigInt), [...shape]);
}

/** A whole batch as both graphs take it: every row counts its positions from 0, padding included. */
function batchFeeds(batch: EngineBatch): Record<string, Tensor> {
  const shape = [batch.batch, batch.length];
  return {
    ids: new Tensor('int32', batch.ids, shape),
    positions: integers(
      Array.from(batch.ids, (_, at) => at % batch.length),
      shape,
    ),
    mask: attentionMask(batch),
  };
}

/**
 * Inputs of the loss graph except weights, adapter and rotary tables.
 * @param share weight of every supervised token's loss; 1 / their number gives the token mean
 */
export function lossFeeds(
  batch: EngineBatch,
  supervised: { rows: readonly number[]; labels: readonly number[] },
  share: number,
): Record<string, Tensor> {
  const count = supervised.rows.length;
  return {
    ...batchFeeds(batch),
    rows: integers(supervised.rows, [count]),
    labels: integers(supervised.labels, [count, 1]),
    weights: new Tensor('float32', new Float32Array(count).fill(share), [count, 1]),
  };
}

/** Inputs of the generation graph for the scores at flat positions of a batch; its cache is empty. */
export function logitsFeeds(batch: EngineBatch, rows: readonly number[]): Record<string, Tensor> {
  return { ...batchFeeds(batch), rows: integers(rows, [rows.length]) };
}

/** Inputs of the generation graph for one row: `ids` follow `past` cached tokens; scores for the last one. */
export function generationFeeds(ids: readonly number[], past: number): Record<string, Tensor> {
  const length = ids.length;
  const mask = new Float32Array(length * (past + length));
  for (let query = 0; query < length; query++) {
    mask.fill(MASKED, query * (past + length) + past + query + 1, (query + 1) * (past + length));
  }
  return {
    ids: new Tensor('int32', Int32Array.from(ids), [1, length]),
    positions: integers(
      ids.map((_, at) => past + at),
      [1, length],
    ),
    mask: new Tensor('float32', mask, [1, 1, 1, length, past + length]),
    rows: integers([length - 1], [1]),
  };
}
