/** @file The loss of a batch with its gradients in some of an adapter's tensors, or in the model's own weights. */

import { Tensor } from 'onnxruntime-node';

import { targetedLinears, type LoraConfiguration } from '../model/lora.ts';
import type { EngineBatch } from './batch.ts';
import type { DropoutDraw } from './dropout.ts';
import { lossFeeds } from './feeds.ts';
import { actingRate } from './graphs/dropout.ts';
import { lossGraph } from './graphs/loss.ts';
import { sizesOf } from './memory.ts';
import type { Parameters } from './parameters.ts';
import { float32, type EngineAdapter, type Sessions } from './sessions.ts';

/** What is computed with, and where the gradients go. */
export interface Differentiated {
  /** Null: the model alone, of which then some weights are differentiated; they must be float32. */
  readonly adapter: EngineAdapter | null;
  /**
   * Room for the gradients. Its names decide which are computed: tensors of the adapter, all or some (A or B alone),
   * or, without an adapter, the model's weights.
   */
  readonly gradients: Parameters;
  /** Lets the adapter's dropout act; without it nothing is dropped. */
  readonly dropout?: DropoutDraw;
  /** What each supervised token's loss counts, or one number for all; default 1 / their number: the token mean. */
  readonly weights?: number | Float32Array;
}

/** The loss, its gradients written into `gradients`. @throws Error when no token of the batch is supervised */
export async function lossAndGradients(
  sessions: Sessions,
  batch: EngineBatch,
  { adapter, gradients, dropout, weights }: Differentiated,
): Promise<number> {
  const names = [...gradients.tensors.keys()];
  const draw = dropout && dropoutDraw(adapter?.configuration, dropout);
  const kind = `gradients ${draw ? draw.rate : 0} of ${names.join(' ')}`;
  const count = batch.targets.places.length;
  if (count === 0) throw new Error('no token of the batch is supervised');
  const program = await sessions.trainingProgram({
    kind,
    adapter: adapter?.configuration ?? null,
    build: (plan) => lossGraph({ ...plan, dropping: draw !== undefined }, names),
    sizes: sizesOf(batch),
    trained: gradients.flat.length,
  });
  const feeds = {
    ...lossFeeds(batch, weights ?? 1 / count, sessions.configuration.slidingWindow),
    ...sessions.feeds(program, batch.length, adapter),
    ...(draw && sessions.dropout.feeds(draw, targetedLinears(sessions.configuration, draw.adapter), batch)),
  };
  const results = await program.session.run(feeds, { loss: null, ...gradientOutputs(gradients) });
  return float32(results.loss)[0];
}

/** A draw with what it is for, or undefined where the adapter drops nothing. */
export function dropoutDraw(adapter: LoraConfiguration | undefined, draw: DropoutDraw) {
  const rate = actingRate(adapter?.dropout ?? 0);
  return adapter && rate > 0 ? { ...draw, adapter, rate } : undefined;
}

/** Outputs `gradient/NAME` that are written where they belong. */
export function gradientOutputs({ tensors }: Parameters): Record<string, Tensor> {
  return Object.fromEntries(
    [...tensors].map(([name, { data, shape }]) => [
      `gradient/${name}`,
      new Tensor('float32', data, [...shape]),
    ]),
  );
}
