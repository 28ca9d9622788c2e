/** @file The decoder of the Llama family (Touvron et al., 2023): RMSNorm, rotary grouped-query attention, SwiGLU. */

import {
  add,
  causalAttention,
  concat,
  matMul,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  scale,
  softmax,
  swapLastAxes,
  swiGlu,
  transpose,
} from '../../graph/build.ts';
import { product } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';
import { EMBEDDING, headName } from '../configuration.ts';
import { linearOf, type LinearParts } from './linear.ts';

/** What differs between one decoder graph and another. */
export interface DecoderParts extends LinearParts {
  /** For so many places of a text attention's scores lie in memory at once; without it for all. */
  readonly attentionRows?: number;
  /** How a result of a linear, or what is made of it for the attention, is handed on: as it is, or rounded. */
  kept(x: Value): Value;
}

export interface DecoderInputs {
  /** int32 [batch, length] */
  readonly ids: Value;
  /** int64 [batch, length] */
  readonly positions: Value;
  /** Added to the scores, float32 [batch, 1, 1, length, total]; total = past + length. */
  readonly mask: Value;
  /** Rotary tables, float32 [positions, headSize / 2]. */
  readonly cos: Value;
  readonly sin: Value;
  /** Keys and values of earlier tokens, a pair a layer, each [batch, keyValueHeads, past, headSize]. */
  readonly past?: readonly KeysAndValues[];
}

/** Scope of the additions to the stream of hidden states, two a layer. */
export const RESIDUAL = 'residual';

export interface KeysAndValues {
  readonly keys: Value;
  readonly values: Value;
}

/** The last hidden states after the final norm, [batch·length, hiddenSize], and each layer's keys and values. */
export function decoder(
  parts: DecoderParts,
  inputs: DecoderInputs,
): { hidden: Value; present: KeysAndValues[] } {
  const { graph, configuration, weights } = parts;
  const { hiddenSize, layers, rmsNormEpsilon, vocabularySize } = configuration;
  const tokens = product(inputs.ids.shape);
  let hidden = graph.scope('embedding', () =>
    weights.rows(EMBEDDING, reshape(inputs.ids, [tokens]), [vocabularySize, hiddenSize]),
  );
  const present: KeysAndValues[] = [];
  const norm = (x: Value, name: string) => rmsNorm(x, weights.tensor(name, [hiddenSize]), rmsNormEpsilon);
  for (let layer = 0; layer < layers; layer++) {
    const path = `model.layers.${layer}`;
    graph.scope(`layers.${layer}`, () => {
      hidden = graph.scope('attention', () => {
        const normed = norm(hidden, `${path}.input_layernorm.weight`);
        const attended = attention(parts, inputs, { x: normed, layer });
        present.push(attended.present);
        return graph.scope(RESIDUAL, () => add(hidden, attended.y));
      });
      hidden = graph.scope('mlp', () => {
        const normed = norm(hidden, `${path}.post_attention_layernorm.weight`);
        const linear = linearOf(parts, `${path}.mlp`);
        const activated = swiGlu(
          parts.kept(linear('gate_proj', normed)),
          parts.kept(linear('up_proj', normed)),
        );
        const y = linear('down_proj', activated);
        return graph.scope(RESIDUAL, () => add(hidden, y));
      });
    });
  }
  return { hidden: graph.scope('norm', () => norm(hidden, 'model.norm.weight')), present };
}

/** Scores over the vocabulary, [rows, vocabularySize], of hidden states [rows, hiddenSize]. */
export function head({ graph, configuration, weights }: DecoderParts, hidden: Value): Value {
  return graph.scope('head', () =>
    weights.product(hidden, headName(configuration), [
      configuration.vocabularySize,
      configuration.hiddenSize,
    ]),
  );
}

/**
 * Grouped-query attention. The query heads that share a key head are merged along the length, so that keys and
 * values are never repeated:
 *
 *   q [b, g·r, n, d] ─ [b, g, r·n, d] ─┬ MatMul ─ [b, g, r, n, t] ─ Add(mask) ─ Softmax ─┬ MatMul ─ o_proj
 *   k [b, g, t, d] ─ transposed ───────┘                              v [b, g, t, d] ────┘
 *
 * Where a part of the queries is taken at a time, one operator does the same from q to v.
 */
function attention(
  parts: DecoderParts,
  inputs: DecoderInputs,
  { x, layer }: { x: Value; layer: number },
): { y: Value; present: KeysAndValues } {
  const { attentionHeads, keyValueHeads, headSize, headNorms, rmsNormEpsilon } = parts.configuration;
  const [batch, length] = inputs.ids.shape;
  const total = inputs.mask.shape[4];
  const repeats = attentionHeads / keyValueHeads;
  const path = `model.layers.${layer}.self_attn`;
  const linear = linearOf(parts, path);
  const heads = (y: Value, count: number) =>
    transpose(reshape(y, [batch, length, count, headSize]), [0, 2, 1, 3]);
  const normed = (y: Value, name: string) =>
    headNorms === true
      ? rmsNorm(y, parts.weights.tensor(`${path}.${name}.weight`, [headSize]), rmsNormEpsilon)
      : y;
  const tables = { positions: inputs.positions, cos: inputs.cos, sin: inputs.sin };

  const query = rotaryEmbedding(normed(heads(linear('q_proj', x), attentionHeads), 'q_norm'), tables);
  const newKeys = parts.kept(
    rotaryEmbedding(normed(heads(linear('k_proj', x), keyValueHeads), 'k_norm'), tables),
  );
  const newValues = parts.kept(heads(linear('v_proj', x), keyValueHeads));
  const past = inputs.past?.[layer];
  const keys = past ? concat([past.keys, newKeys], 2) : newKeys;
  const values = past ? concat([past.values, newValues], 2) : newValues;

  const mix = (): Value => {
    const factor = 1 / Math.sqrt(headSize);
    if (parts.attentionRows !== undefined && !past) {
      const heads = scale(reshape(query, [batch, keyValueHeads, repeats, length, headSize]), factor);
      return causalAttention(parts.kept(heads), {
        keys,
        values,
        mask: inputs.mask,
        rows: parts.attentionRows,
      });
    }
    const grouped = [batch, keyValueHeads, product([repeats, length])] as const;
    const scaled = scale(reshape(query, [...grouped, headSize]), factor);
    const scores = matMul(scaled, swapLastAxes(keys));
    const masked = add(reshape(scores, [batch, keyValueHeads, repeats, length, total]), inputs.mask);
    return matMul(reshape(softmax(masked), [...grouped, total]), values);
  };
  const mixed = reshape(mix(), [batch, attentionHeads, length, headSize]);
  const merged = reshape(transpose(mixed, [0, 2, 1, 3]), [
    product([batch, length]),
    attentionHeads * headSize,
  ]);
  return { y: linear('o_proj', parts.kept(merged)), present: { keys, values } };
}
