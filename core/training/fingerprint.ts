/** @file What decides the numbers of a training, so that a checkpoint is used for no other one. */

import { createHash, type Hash } from 'node:crypto';

import type { Engine } from '../engine/engine.ts';
import type { OpenModel } from '../model/open.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { modelTemplate } from './model-text.ts';
import type { Reference } from './reference.ts';
import type { TrainRequest } from './requests.ts';
import { tokenizePrompt } from './tokens.ts';
import type { TrainedAdapter } from './trained-adapter.ts';

/** What each thing that decides the numbers was, by its name: as JSON, or hashed where it is large. */
export type Fingerprint = Readonly<Record<string, string>>;

/** Longer values are told by their hash. */
const LONGEST_VALUE = 200;

/**
 * Every field of the request takes part, so that an option that is added later does too; only where checkpoints lie
 * and when they are made decides nothing. Choices that are made during the training (such as smaller parts of a step
 * where memory is short) are not part of it.
 *
 * @param training the reference is that of a preference training
 */
export function fingerprintOf(training: {
  request: TrainRequest;
  model: OpenModel;
  engine: Engine;
  /** Null where all weights are trained. */
  adapter: TrainedAdapter | null;
  reference: Reference | null;
  /** Those that are trained, as they are before. */
  tensors: NamedTensors;
}): Fingerprint {
  const { request, model, engine, adapter, reference, tensors } = training;
  const { examples, tokens, ...options } = request;
  // Options first, for a difference is told by the first name.
  const values: Record<string, unknown> = {
    ...options,
    checkpoints: undefined,
    model: model.identity.sha256,
    adapter: adapter?.configuration,
    'start of what is trained': tensors,
    data: digest(tokens ?? examples),
    'text of the template': templateProbe(model, request),
    precision: engine.precision,
    device: engine.device,
    threads: engine.threads,
    reference: reference?.adapter
      ? [reference.adapter.configuration, reference.adapter.parameters.tensors]
      : undefined,
  };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, describe(value)]),
  );
}

/** What differs first, in words; null where nothing does. */
export function difference(before: Fingerprint, now: Fingerprint): string | null {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const name = names.find((one) => before[one] !== now[one]);
  if (name === undefined) return null;
  const [was, is] = [before[name] ?? 'not set', now[name] ?? 'not set'];
  const isHash = [was, is].some((value) => value.includes('sha256:'));
  return isHash ? `the ${name} was another` : `${name} was ${was} and is ${is}`;
}

/** The prompt that a template makes of a question: two templates that make the same are the same. */
function templateProbe(model: OpenModel, { template }: TrainRequest): string {
  const prompt = modelTemplate(model, template).prompt([{ role: 'user', content: 'How? Ünïcode 12 345.' }]);
  return digest(tokenizePrompt(prompt, model.tokenizer));
}

function describe(value: unknown): string {
  const hashed = containsBytes(value);
  const text = hashed ? '' : JSON.stringify(value);
  return hashed || text.length > LONGEST_VALUE ? digest(value) : text;
}

function containsBytes(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (value instanceof Map || ArrayBuffer.isView(value)) return true;
  return Object.values(value).some(containsBytes);
}

/** SHA-256 over anything that can be sent to the training process. */
function digest(value: unknown): string {
  const hash = createHash('sha256');
  feed(hash, value);
  return `sha256:${hash.digest('hex')}`;
}

function feed(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) {
    hash.update(`${value.byteLength}:`);
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (Array.isArray(value) || value instanceof Map) {
    hash.update('[');
    for (const one of value) feed(hash, one);
    hash.update(']');
  } else if (value !== null && typeof value === 'object') {
    hash.update('{');
    for (const [name, one] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (one === undefined) continue;
      hash.update(JSON.stringify(name));
      feed(hash, one);
    }
    hash.update('}');
  } else {
    hash.update(`${JSON.stringify(value) ?? 'undefined'},`);
  }
}
