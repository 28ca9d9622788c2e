/** @file Losses of tokens in texts of which many begin alike: what they share is computed once and kept. */

import type { Tensor } from 'onnxruntime-node';

import { paddedBatch, type EngineBatch } from './batch.ts';
import { scoringFeeds } from './feeds.ts';
import { emptyCache } from './generation.ts';
import { scoringGraph } from './graphs/generation.ts';
import { float32, type EngineAdapter, type Program, type Sessions } from './sessions.ts';

/** The beginning of texts, computed with one adapter. */
export interface Beginning {
  readonly tokens: number;
  /** Keys and values, by the names of the graph's inputs. */
  readonly past: Readonly<Record<string, Tensor>>;
}

/** A beginning is computed in parts of at most this many tokens, whose attention scores lie in memory together. */
const PART = 512;

/** Computes what texts begin with, once for all of them. */
export async function beginning(
  sessions: Sessions,
  { ids, adapter }: { ids: Int32Array; adapter: EngineAdapter | null },
): Promise<Beginning> {
  const program = await scoringProgram(sessions, adapter);
  let result: Beginning = { tokens: 0, past: emptyCache(sessions, 1) };
  while (result.tokens < ids.length) {
    const part = ids.subarray(result.tokens, result.tokens + PART);
    const text = paddedBatch([{ ids: part }], 0);
    const positions = text.positions.map((position) => position + result.tokens);
    // The graph computes losses too: of one token, whichever it is.
    const targets = { places: Int32Array.of(0), labels: Int32Array.of(0), examples: Int32Array.of(0) };
    const batch = { ...text, positions, targets };
    const results = await program.session.run(feedsOf(sessions, program, { batch, adapter, after: result }));
    const past = Object.keys(result.past).map((name): [string, Tensor] => [
      name,
      results[name.replace('past/', 'present/')],
    ]);
    result = { tokens: result.tokens + part.length, past: Object.fromEntries(past) };
  }
  return result;
}

/**
 * Negative log-likelihood of each target of a batch of one row. The positions count from the start of the texts, whose
 * beginning is in `after`.
 */
export async function tokenLosses(
  sessions: Sessions,
  question: { batch: EngineBatch; adapter: EngineAdapter | null; after: Beginning },
): Promise<Float32Array> {
  const program = await scoringProgram(sessions, question.adapter);
  const results = await program.session.run(feedsOf(sessions, program, question), ['nll']);
  return float32(results.nll);
}

function feedsOf(
  sessions: Sessions,
  program: Program,
  { batch, adapter, after }: { batch: EngineBatch; adapter: EngineAdapter | null; after: Beginning },
): Record<string, Tensor> {
  const positions = batch.positions.reduce((most, position) => Math.max(most, position), 0) + 1;
  return {
    ...scoringFeeds(batch, after.tokens, sessions.configuration.slidingWindow),
    ...after.past,
    ...sessions.feeds(program, positions, adapter),
  };
}

function scoringProgram(sessions: Sessions, adapter: EngineAdapter | null): Promise<Program> {
  return sessions.program('scoring', adapter?.configuration ?? null, scoringGraph);
}
