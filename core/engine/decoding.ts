/** @file Continuation of a text token by token on the CPU, in a cache that grows in place. */

import { Tensor } from 'onnxruntime-node';

import type { ModelConfiguration } from '../model/configuration.ts';
import { loraNames, loraScale, targetedLinears, type LoraConfiguration } from '../model/lora.ts';
import { linearGroups } from './decoding-weights.ts';
import { decodingGraph } from './graphs/decoding.ts';
import type { Continuation } from './generation.ts';
import type { EngineAdapter, Program, Sessions } from './sessions.ts';

/** The cache's capacity is a multiple of this many tokens. */
const CAPACITY_STEP = 256;
/** A prompt is read in parts of at most this many tokens, whose attention scores lie in memory together. */
const PART = 512;

/** A prompt whose keys and values are there for others that begin alike; with one adapter and precision alone. */
export interface KeptPrompt {
  ids: readonly number[];
  readonly cache: KeyValueCache;
}

/** Nothing kept as yet. */
export function keptPrompt({ configuration }: Sessions): KeptPrompt {
  return { ids: [], cache: new KeyValueCache(configuration) };
}

/** Yields the tokens that `choose` picks, until it is asked no more or the model's context is full. */
export async function* decode(
  sessions: Sessions,
  { prompt, adapter, choose, exact = false, kept = keptPrompt(sessions) }: Continuation,
): AsyncGenerator<number, void, void> {
  const { configuration } = sessions;
  const program = await decodingProgram(sessions, adapter?.configuration ?? null, exact);
  const branches = adapter ? branchFeeds(configuration, adapter) : {};
  const { cache } = kept;
  cache.tokens = commonBeginning(kept.ids, prompt);
  kept.ids = prompt.slice(0, cache.tokens);
  const scores = new Float32Array(configuration.vocabularySize);
  const logits = new Tensor('float32', scores, [1, scores.length]);
  let fixed: Record<string, Tensor> | null = null;
  let next: readonly number[] = prompt.slice(cache.tokens);
  while (cache.tokens + next.length <= configuration.maximumPositions) {
    for (let start = 0; start < next.length; start += PART) {
      const ids = next.slice(start, start + PART);
      if (cache.reserve(ids.length) || !fixed) {
        fixed = { ...sessions.feeds(program, cache.capacity, null), ...branches, ...cache.feeds };
      }
      await program.session.run({ ...fixed, ...tokenFeeds(ids, cache.tokens) }, { ...cache.outputs, logits });
      cache.tokens += ids.length;
    }
    if (kept.ids.length < prompt.length) kept.ids = prompt;
    const token = choose(scores);
    next = [token];
    yield token;
  }
}

/** How many tokens need not be read again; the last one of a prompt is, for its scores. */
function commonBeginning(known: readonly number[], prompt: readonly number[]): number {
  const most = Math.min(known.length, prompt.length - 1);
  for (let at = 0; at < most; at++) if (known[at] !== prompt[at]) return at;
  return Math.max(0, most);
}

/** Inputs of the decoding graph for the tokens that follow `past` others. */
function tokenFeeds(ids: readonly number[], past: number): Record<string, Tensor> {
  const total = past + ids.length;
  return {
    ids: new Tensor('int32', Int32Array.from(ids), [ids.length]),
    total: new Tensor('int32', Int32Array.of(total), [1]),
    last: new Tensor('int32', Int32Array.of(total - 1), [1]),
    row: new Tensor('int64', BigInt64Array.of(BigInt(ids.length - 1)), [1]),
  };
}

/** Keys and values of the tokens so far. Each tensor is both fed and written, so that nothing is copied. */
class KeyValueCache {
  /** Tokens whose keys and values are there. */
  tokens = 0;
  capacity = 0;
  feeds: Record<string, Tensor> = {};
  outputs: Record<string, Tensor> = {};
  readonly #configuration: ModelConfiguration;

  constructor(configuration: ModelConfiguration) {
    this.#configuration = configuration;
  }

  /** Makes room for so many tokens more; true when the tensors are others than before. */
  reserve(tokens: number): boolean {
    const needed = this.tokens + tokens;
    if (needed <= this.capacity) return false;
    const { layers, keyValueHeads, headSize, maximumPositions } = this.#configuration;
    const steps = Math.ceil(needed / CAPACITY_STEP);
    const capacity = Math.max(needed, Math.min(maximumPositions, steps * CAPACITY_STEP));
    for (let layer = 0; layer < layers; layer++) {
      for (const part of ['keys', 'values']) {
        const name = `past/${layer}/${part}`;
        const data = new Float32Array(keyValueHeads * capacity * headSize);
        const before = this.feeds[name]?.data;
        if (before instanceof Float32Array) {
          for (let head = 0; head < keyValueHeads; head++) {
            const start = head * this.capacity * headSize;
            data.set(before.subarray(start, start + this.tokens * headSize), head * capacity * headSize);
          }
        }
        const tensor = new Tensor('float32', data, [1, keyValueHeads, capacity, headSize]);
        this.feeds[name] = tensor;
        this.outputs[`present/${layer}/${part}`] = tensor;
      }
    }
    this.capacity = capacity;
    return true;
  }
}

/** One session for all adapters of one rank on the same linears; their scales are in what is fed. */
function decodingProgram(
  sessions: Sessions,
  adapter: LoraConfiguration | null,
  exact: boolean,
): Promise<Program> {
  const { configuration, decodingWeights: weights } = sessions;
  const activations = exact ? 'float32' : 'int8';
  const branches = adapter ? branchRanks(configuration, adapter) : new Map<string, number>();
  const shape = adapter && {
    rank: adapter.rank,
    alpha: adapter.rank,
    targets: adapter.targets,
    layers: adapter.layers,
  };
  return sessions.program(`decoding ${activations}`, shape, () =>
    decodingGraph({ configuration, weights, branches, activations }),
  );
}

/** Of each group of linears with a branch: the ranks of its members' branches together. */
function branchRanks(configuration: ModelConfiguration, adapter: LoraConfiguration): Map<string, number> {
  const targeted = new Set(targetedLinears(configuration, adapter).map(({ module }) => module));
  const ranks = linearGroups(configuration).map(({ name, members }): [string, number] => [
    name,
    adapter.rank * members.filter(({ module }) => targeted.has(module)).length,
  ]);
  return new Map(ranks.filter(([, rank]) => rank > 0));
}

/**
 * The low-rank factors of each group: the A of its members one below the other, their scale · B as blocks of one
 * matrix, since the members' outputs lie side by side.
 */
function branchFeeds(
  configuration: ModelConfiguration,
  { configuration: adapter, parameters }: EngineAdapter,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  const scale = loraScale(adapter);
  const ranks = branchRanks(configuration, adapter);
  for (const { name, members } of linearGroups(configuration)) {
    const rank = ranks.get(name);
    if (rank === undefined) continue;
    const columns = members[0].shape[1];
    const rows = members.reduce((total, { shape }) => total + shape[0], 0);
    const A = new Float32Array(rank * columns);
    const B = new Float32Array(rows * rank);
    let [row, column] = [0, 0];
    for (const { module, shape } of members) {
      const names = loraNames(module);
      const [low, high] = [parameters.get(names.A), parameters.get(names.B)];
      if (low && high) {
        A.set(low.data, column * columns);
        high.data.forEach((value, at) => {
          const place = (row + Math.floor(at / adapter.rank)) * rank + column + (at % adapter.rank);
          B[place] = scale * value;
        });
        column += adapter.rank;
      }
      row += shape[0];
    }
    feeds[`${name}/A`] = new Tensor('float32', A, [rank, columns]);
    feeds[`${name}/B`] = new Tensor('float32', B, [rows, rank]);
  }
  return feeds;
}
