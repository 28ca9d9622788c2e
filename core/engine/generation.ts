/** @file Scores of the next token, and continuation token by token with a cache of keys and values. */

import { Tensor } from 'onnxruntime-node';

import type { EngineBatch } from './batch.ts';
import { decode, type KeptPrompt } from './decoding.ts';
import { generationFeeds, logitsFeeds } from './feeds.ts';
import { generationGraph } from './graphs/generation.ts';
import { float32, type EngineAdapter, type Sessions } from './sessions.ts';

/** A text to be continued. */
export interface Continuation {
  readonly prompt: readonly number[];
  readonly adapter: EngineAdapter | null;
  /**
   * Computes with activations as they are. Without it the CPU rounds them to eight bits a block of 32 before it
   * multiplies them with packed weights, as llama.cpp does; float32 weights are not affected.
   */
  readonly exact?: boolean;
  /**
   * What was read before, with the same adapter as it is now: the prompt is read from where it differs. The CPU alone
   * makes use of it. How a prompt is divided can change the last bits of its scores.
   */
  readonly kept?: KeptPrompt;
  /** Picks a token from its scores [vocabularySize], which are valid, and may be written to, during the call. */
  readonly choose: (logits: Float32Array) => number;
}

/**
 * Scores over the vocabulary of what follows each of some places of a batch.
 * @param rows flat positions, row · length + position
 * @returns row-major [rows, vocabularySize]
 */
export async function logitsAt(
  sessions: Sessions,
  { batch, rows, adapter }: { batch: EngineBatch; rows: readonly number[]; adapter: EngineAdapter | null },
): Promise<Float32Array> {
  const program = await generationProgram(sessions, adapter);
  const feeds = {
    ...logitsFeeds(batch, rows, sessions.configuration.slidingWindow),
    ...emptyCache(sessions, batch.batch),
    ...sessions.feeds(program, batch.length, adapter),
  };
  const results = await program.session.run(feeds, ['logits']);
  return float32(results.logits);
}

/** The tokens of a continuation until the model's context is full; the prompt is read in one go. */
export function continuation(sessions: Sessions, question: Continuation): AsyncGenerator<number, void, void> {
  return sessions.device === 'cpu' ? decode(sessions, question) : decodeAnywhere(sessions, question);
}

/** Decodes with the operators that all devices have. */
async function* decodeAnywhere(
  sessions: Sessions,
  { prompt, adapter, choose }: Continuation,
): AsyncGenerator<number, void, void> {
  const program = await generationProgram(sessions, adapter);
  let past = emptyCache(sessions, 1);
  let seen = 0;
  let next: readonly number[] = prompt;
  while (seen + next.length <= sessions.configuration.maximumPositions) {
    const feeds = {
      ...generationFeeds(next, seen, sessions.configuration.slidingWindow),
      ...past,
      ...sessions.feeds(program, seen + next.length, adapter),
    };
    const results = await program.session.run(feeds);
    past = Object.fromEntries(
      Object.keys(past).map((name) => [name, results[name.replace('past/', 'present/')]]),
    );
    seen += next.length;
    const token = choose(float32(results.logits));
    next = [token];
    yield token;
  }
}

function generationProgram(sessions: Sessions, adapter: EngineAdapter | null) {
  return sessions.program('generation', adapter?.configuration ?? null, generationGraph);
}

/** Keys and values before any token, as the graphs with a cache take them. */
export function emptyCache({ configuration }: Sessions, batch: number): Record<string, Tensor> {
  const { layers, keyValueHeads, headSize } = configuration;
  const parts = Array.from({ length: layers }, (_, layer) => [`past/${layer}/keys`, `past/${layer}/values`]);
  const empty = () => new Tensor('float32', new Float32Array(0), [batch, keyValueHeads, 0, headSize]);
  return Object.fromEntries(parts.flat().map((name) => [name, empty()]));
}
