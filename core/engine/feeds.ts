/** @file From token ids to the inputs of the graphs. */

import { Tensor } from 'onnxruntime-node';

import type { EngineBatch } from './batch.ts';

/** Added to a score that must not be attended to: finite, so that a row of padding alone gives no NaN. */
const MASKED = -1e30;

/**
 * What each place may attend to, [batch, 1, 1, length, past + length].
 * @param window a token attends to this many tokens of its text, itself included
 * @param past so many tokens lie in a cache with which every text begins
 */
function attentionMask(
  { batch, length, positions, segments }: EngineBatch,
  window = Infinity,
  past = 0,
): Tensor {
  const total = past + length;
  const data = new Float32Array(batch * length * total).fill(MASKED);
  for (const { row, start, length: tokens, parent } of segments) {
    const first = row * length;
    for (let query = start; query < start + tokens; query++) {
      const oldest = positions[first + query] - window + 1;
      const cached = (first + query) * total;
      if (oldest < past) data.fill(0, cached + Math.max(0, oldest), cached + past);
      const line = cached + past;
      data.fill(0, line + Math.max(start, start + oldest - positions[first + start]), line + query + 1);
      for (let above = parent; above !== null; above = segments[above].parent) {
        const seen = segments[above];
        const from = Math.max(seen.start, seen.start + oldest - positions[first + seen.start]);
        const end = seen.start + seen.length;
        // Positions fall on the way up, so that all further ancestors are out of the window too.
        if (from >= end) break;
        data.fill(0, line + from, line + end);
      }
    }
  }
  return new Tensor('float32', data, [batch, 1, 1, length, total]);
}

/** int64 tensor of numbers from 0 to 2³¹ − 1, without a BigInt for each. */
function integers(values: ArrayLike<number>, shape: readonly number[]): Tensor {
  const data = new BigInt64Array(values.length);
  // All platforms that ONNX Runtime is built for put the low half first.
  const halves = new Int32Array(data.buffer);
  for (let index = 0; index < values.length; index++) halves[2 * index] = values[index];
  return new Tensor('int64', data, [...shape]);
}

/** A whole batch as all graphs take it. */
function batchFeeds(batch: EngineBatch, window?: number, past?: number): Record<string, Tensor> {
  const shape = [batch.batch, batch.length];
  return {
    ids: new Tensor('int32', batch.ids, shape),
    positions: integers(batch.positions, shape),
    mask: attentionMask(batch, window, past),
  };
}

/**
 * Inputs of the loss graph except weights, adapter and rotary tables.
 * @param weights what each target's loss counts, or one number for all: 1 / their number gives the token mean
 * @param window the model's sliding window, if it has one
 */
export function lossFeeds(
  batch: EngineBatch,
  weights: number | Float32Array,
  window?: number,
): Record<string, Tensor> {
  const { places, labels } = batch.targets;
  const count = places.length;
  const shares = typeof weights === 'number' ? new Float32Array(count).fill(weights) : weights;
  return {
    ...batchFeeds(batch, window),
    rows: new Tensor('int32', places, [count]),
    labels: new Tensor('int32', labels, [count, 1]),
    weights: new Tensor('float32', shares, [count, 1]),
  };
}

/**
 * Inputs of the scoring graph for a batch whose texts all begin with the `past` tokens of a cache.
 * @param window the model's sliding window, if it has one
 */
export function scoringFeeds(batch: EngineBatch, past: number, window?: number): Record<string, Tensor> {
  const { places, labels } = batch.targets;
  return {
    ...batchFeeds(batch, window, past),
    rows: new Tensor('int32', places, [places.length]),
    labels: new Tensor('int32', labels, [places.length, 1]),
  };
}

/** Inputs of the generation graph for the scores at flat places of a batch; its cache is empty. */
export function logitsFeeds(
  batch: EngineBatch,
  places: readonly number[],
  window?: number,
): Record<string, Tensor> {
  return {
    ...batchFeeds(batch, window),
    rows: new Tensor('int32', Int32Array.from(places), [places.length]),
  };
}

/**
 * Inputs of the generation graph for one row: `ids` follow `past` cached tokens; scores for the last one.
 * @param window the model's sliding window, if it has one
 */
export function generationFeeds(
  ids: readonly number[],
  past: number,
  window = Infinity,
): Record<string, Tensor> {
  const length = ids.length;
  const total = past + length;
  const mask = new Float32Array(length * total).fill(MASKED);
  for (let query = 0; query < length; query++) {
    const position = past + query;
    mask.fill(0, query * total + Math.max(0, position - window + 1), query * total + position + 1);
  }
  return {
    ids: new Tensor('int32', Int32Array.from(ids), [1, length]),
    positions: integers(
      ids.map((_, at) => past + at),
      [1, length],
    ),
    mask: new Tensor('float32', mask, [1, 1, 1, length, total]),
    rows: new Tensor('int32', Int32Array.of(length - 1), [1]),
  };
}
