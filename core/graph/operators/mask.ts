/** @file What a token may attend to, computed within a graph for programs that know nothing of our masks. */

import { sameShape } from '../dimension.ts';
import { int, names, ONNX_DATA_TYPES, require, type Rules } from './rule.ts';

/** Added to a score that must not be attended to: finite, so that a row of padding alone gives no NaN. */
const MASKED = -1e30;

export const mask: Rules<'AttentionMask'> = {
  // ids ── Shape ─ length ─┐
  // real ─ Shape ─ total ──┴ Range ─ places of the queries ─┬ LessOrEqual ─┐
  //        total ─ Range ─── places of the keys ────────────┘ (Greater)    ├ And ─ Where(0, −1e30)
  // real ─ Cast(bool), [batch, 1, 1, 1, total] ─────────────────────────── ┘
  AttentionMask: {
    infer: ([real, ids]) => {
      require(real.shape.length === 2 && ids.shape.length === 2, 'both inputs must have two axes');
      require(sameShape([real.shape[0]], [ids.shape[0]]), 'both inputs must have the same rows');
      return { dataType: 'float32', shape: [ids.shape[0], 1, 1, ids.shape[1], real.shape[1]] };
    },
    gradient: null,
    emit: (node, emitter) => {
      const [real, ids] = names(node);
      const { window } = node.attributes;
      const number = (value: number) => emitter.constant('int64', [], [value]);
      const axes = (values: number[]) => emitter.constant('int64', [values.length], values);
      const part = (label: string, type: string, inputs: string[], attributes = {}) => {
        const output = emitter.intermediate(label);
        emitter.node({ type, inputs, output, attributes });
        return output;
      };
      const width = (label: string, of: string) => {
        const shape = part(`${label}/shape`, 'Shape', [of]);
        return part(label, 'Gather', [shape, number(1)]);
      };
      const [length, total] = [width('length', ids), width('total', real)];
      const first = part('first', 'Sub', [total, length]);
      const keys = part('keys', 'Range', [number(0), total, number(1)]);
      const places = part('places', 'Range', [first, total, number(1)]);
      const queries = part('queries', 'Unsqueeze', [places, axes([1])]);
      let seen = part('past', 'LessOrEqual', [keys, queries]);
      if (window !== null) {
        const before = part('before', 'Sub', [queries, number(window)]);
        seen = part('windowed', 'And', [seen, part('within', 'Greater', [keys, before])]);
      }
      const tokens = part('tokens', 'Cast', [real], { to: int(ONNX_DATA_TYPES.bool) });
      const spread = part('spread', 'Unsqueeze', [tokens, axes([1, 2, 3])]);
      const open = part('open', 'And', [seen, spread]);
      const value = (score: number) => emitter.constant('float32', [], [score]);
      emitter.node({ type: 'Where', inputs: [open, value(0), value(MASKED)], output: node.output.name });
    },
  },
};
