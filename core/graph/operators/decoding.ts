/** @file Operators that continue a text token by token on the CPU. None has a gradient. */

import { int, names, require, type Rules } from './rule.ts';

/** ONNX Runtime's `accuracy_level` of MatMulNBits. */
const ACCURACY = { float32: 1, int8: 4 } as const;

/** Names of a cache's parts after a node. */
const after = (node: string, part: 'keys' | 'values') => `${node}/${part}`;

export const decoding: Rules<'MatMulNBits' | 'GroupQueryAttention' | 'CacheAfter'> = {
  MatMulNBits: {
    infer: ([x, values, scale], { block, bits }) => {
      const [out, blocks, bytes] = values.shape;
      require(x.shape.length === 2 && values.shape.length === 3, 'x must have two axes, its weights three');
      require(bytes === (block * bits) / 8 &&
        x.shape[1] === Number(blocks) * block, 'columns and blocks differ');
      require(scale.shape[0] === out && scale.shape[1] === blocks, 'one scale a block is needed');
      require(values.dataType === 'uint8', 'values must be uint8');
      return { dataType: x.dataType, shape: [x.shape[0], out] };
    },
    gradient: null,
    emit: (node, emitter) => {
      const { block, bits, activations } = node.attributes;
      const [out, blocks] = node.inputs[1].shape;
      emitter.node({
        type: 'MatMulNBits',
        domain: 'com.microsoft',
        inputs: names(node),
        output: node.output.name,
        attributes: {
          K: int(Number(blocks) * block),
          N: int(Number(out)),
          bits: int(bits),
          block_size: int(block),
          accuracy_level: int(ACCURACY[activations]),
        },
      });
    },
  },

  GroupQueryAttention: {
    infer: ([x, keys, values], { heads, keyValueHeads }) => {
      const [, cached, , size] = keys.shape;
      require(x.shape.length === 3 && keys.shape.length === 4, 'x must have three axes, the cache four');
      require(cached === keyValueHeads &&
        values.shape.join() === keys.shape.join(), 'the cache has other heads');
      require(x.shape[2] ===
        (heads + 2 * keyValueHeads) * Number(size), 'queries, keys and values are needed');
      return { dataType: x.dataType, shape: [x.shape[0], x.shape[1], heads * Number(size)] };
    },
    gradient: null,
    emit: (node, emitter) => {
      const { heads, keyValueHeads, window } = node.attributes;
      const [x, ...others] = names(node);
      emitter.node({
        type: 'GroupQueryAttention',
        domain: 'com.microsoft',
        // Keys and values of their own would be the second and third.
        inputs: [x, '', '', ...others],
        output: node.output.name,
        others: [after(node.name, 'keys'), after(node.name, 'values')],
        attributes: {
          num_heads: int(heads),
          kv_num_heads: int(keyValueHeads),
          do_rotary: int(1),
          ...(window !== null && { local_window_size: int(window) }),
        },
      });
    },
  },

  CacheAfter: {
    infer: ([attended], { part }) => {
      const cache = attended.producer?.inputs[part === 'keys' ? 1 : 2];
      require(attended.producer?.operator === 'GroupQueryAttention' &&
        cache !== undefined, 'no cache comes of it');
      return { dataType: cache.dataType, shape: cache.shape };
    },
    gradient: null,
    // ONNX Runtime leaves this node out and writes the attention's own result.
    emit: (node, emitter) =>
      emitter.node({
        type: 'Identity',
        inputs: [after(node.inputs[0].producer?.name ?? '', node.attributes.part)],
        output: node.output.name,
      }),
  },
};
