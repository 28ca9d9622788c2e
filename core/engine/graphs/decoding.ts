/** @file The next token's scores on the CPU: fewer and larger nodes than a graph that can be differentiated. */

import {
  add,
  concat,
  dequantizeLinear,
  gather,
  gemm,
  groupQueryAttention,
  matMulNBits,
  reduceSum,
  reshape,
  rmsNorm,
  slice,
  swiGlu,
} from '../../graph/build.ts';
import type { Dimension } from '../../graph/dimension.ts';
import { Graph, type Value } from '../../graph/graph.ts';
import type { Activations } from '../../graph/operators/attributes.ts';
import { BLOCK } from '../../model/blocks.ts';
import { EMBEDDING, headName, type ModelConfiguration } from '../../model/configuration.ts';
import type { WeightInput } from '../../model/frozen-weights.ts';
import { linearGroups, type DecodingWeights, type LinearGroup } from '../decoding-weights.ts';
import type { ModelGraph } from './parts.ts';

export interface DecodingPlan {
  readonly configuration: ModelConfiguration;
  readonly weights: DecodingWeights;
  /** Rank of the low-rank branch of each group that has one, by the group's name. */
  readonly branches: ReadonlyMap<string, number>;
  readonly activations: Activations;
}

/**
 * Scores of the token after `length` tokens of one text. Inputs: `ids` int32 [length], `total` int32 [1]: the tokens
 * with those before, `last` int32 [1]: one less, `row` int64 [1]: length − 1, `cos` and `sin`, and for each layer
 * `past/LAYER/keys` and `past/LAYER/values` [1, heads, capacity, size]; `GROUP/A` [rank, in] and `GROUP/B` [out, rank]
 * of each branch. Outputs: `logits` [1, vocabularySize] and `present/LAYER/…`, into which the tensors of the past can
 * be given. Weights that lie packed in the file are its inputs by their names there.
 */
export function decodingGraph(plan: DecodingPlan): ModelGraph {
  const graph = new Graph();
  const { configuration, weights } = plan;
  const { hiddenSize, vocabularySize, layers, rmsNormEpsilon, intermediateSize } = configuration;
  const matrices = new Matrices(graph, plan);
  const ids = graph.input('ids', 'int32', ['length']);
  const attention = attentionOf(graph, plan, matrices);
  const norm = (x: Value, name: string) => rmsNorm(x, matrices.vector(name, hiddenSize), rmsNormEpsilon);
  const groups = new Map(linearGroups(configuration).map((group) => [group.name, group]));
  const linear = (name: string, x: Value) => {
    const group = groups.get(name);
    if (!group) throw new Error(`the model has no linears ${name}`);
    return graph.scope(name.slice(name.lastIndexOf('.') + 1), () => matrices.linear(group, x));
  };
  let hidden = graph.scope('embedding', () => matrices.rows(ids));
  for (let layer = 0; layer < layers; layer++) {
    const path = `model.layers.${layer}`;
    graph.scope(`layers.${layer}`, () => {
      const normed = norm(hidden, `${path}.input_layernorm.weight`);
      const attended = attention(linear(`${path}.self_attn.qkv_proj`, normed), layer);
      hidden = add(hidden, linear(`${path}.self_attn.o_proj`, attended));
      const both = linear(
        `${path}.mlp.gate_up_proj`,
        norm(hidden, `${path}.post_attention_layernorm.weight`),
      );
      const gate = slice(both, 1, { start: 0, end: intermediateSize });
      const up = slice(both, 1, { start: intermediateSize, end: 2 * intermediateSize });
      hidden = add(hidden, linear(`${path}.mlp.down_proj`, swiGlu(gate, up)));
    });
  }
  const row = graph.input('row', 'int64', [1]);
  const last = gather(norm(hidden, 'model.norm.weight'), row);
  const shape = [vocabularySize, hiddenSize] as const;
  const logits = graph.scope('head', () =>
    matrices.product('head', [headName(configuration)], { x: last, shape }),
  );
  graph.output('logits', logits);
  return {
    graph,
    weights: matrices.fed,
    parameters: [...plan.branches.keys()].flatMap((group) => [`${group}/A`, `${group}/B`]),
    opening: { external: () => weights.external(), fused: true },
  };
}

/** Products with the model's matrices, packed in the file or fed. */
class Matrices {
  /** Inputs that are fed as float32. */
  readonly fed: WeightInput[] = [];
  readonly #graph: Graph;
  readonly #plan: DecodingPlan;
  readonly #inputs = new Map<string, Value>();

  constructor(graph: Graph, plan: DecodingPlan) {
    this.#graph = graph;
    this.#plan = plan;
  }

  vector(name: string, size: number): Value {
    return this.#input(name, 'float32', [size]);
  }

  /** The outputs of a group's linears side by side, with biases and the low-rank branch. */
  linear({ name, members }: LinearGroup, x: Value): Value {
    const { configuration, weights, branches } = this.#plan;
    const tensors = members.map(({ module }) => `${module}.weight`);
    const rows = members.reduce((total, { shape }) => total + shape[0], 0);
    const columns = members[0].shape[1];
    const alone = ({ module, shape }: LinearGroup['members'][number]) =>
      this.product(module, [`${module}.weight`], { x, shape });
    let y =
      weights.form(tensors) === null
        ? concat(members.map(alone), 1)
        : this.product(name, tensors, { x, shape: [rows, columns] });
    if (configuration.attentionBias && name.endsWith('qkv_proj')) {
      const biases = members.map(({ module, shape }) => this.vector(`${module}.bias`, shape[0]));
      y = add(y, concat(biases, 0));
    }
    const rank = branches.get(name);
    if (rank === undefined) return y;
    const low = gemm(x, this.#input(`${name}/A`, 'float32', [rank, columns]), { transB: true });
    return gemm(low, this.#input(`${name}/B`, 'float32', [rows, rank]), { transB: true, plus: y });
  }

  /**
   * x·Wᵀ, W being the tensors one below the other:
   *   four bits   x·Wᵀ = x·(d·(q − 8))ᵀ + blockSums(x)·(m + 8 d)ᵀ
   *   eight bits  x·Wᵀ = x·(d·(q − 128))ᵀ, or, with x in float32, x·(16 d·(high − 8))ᵀ + x·(d·low)ᵀ
   */
  product(
    name: string,
    tensors: readonly string[],
    { x, shape: [out, into] }: { x: Value; shape: readonly [number, number] },
  ): Value {
    const form = this.#plan.weights.form(tensors);
    if (form === null) return gemm(x, this.#whole(tensors[0]), { transB: true });
    const blocks = into / BLOCK;
    if (form.kind === 'int8' && this.#plan.activations === 'int8') {
      return this.#packed(x, { values: `${name}.values`, scale: `${name}.scale`, out, bits: 8 });
    }
    if (form.kind === 'int8') {
      const zeros = this.#input(`${name}.zeros`, 'uint8', [out, Math.ceil(blocks / 2)]);
      return add(
        this.#packed(x, { values: `${name}.high`, scale: `${name}.highScale`, out }),
        this.#packed(x, { values: `${name}.low`, scale: `${name}.scale`, out, zeros }),
      );
    }
    const y = this.#packed(x, { values: `${name}.values`, scale: `${name}.scale`, out });
    if (!form.minimum) return y;
    const sums = reshape(reduceSum(reshape(x, [x.shape[0], blocks, BLOCK]), [2]), [x.shape[0], blocks]);
    const minimum = this.#input(`${name}.minimum`, 'float32', [out, blocks]);
    return gemm(sums, minimum, { transB: true, plus: y });
  }

  /** Rows of the embedding. */
  rows(ids: Value): Value {
    const { weights, configuration } = this.#plan;
    if (weights.form([EMBEDDING])?.kind !== 'int8') return gather(this.#whole(EMBEDDING), ids);
    const { vocabularySize, hiddenSize } = configuration;
    const values = this.#input('embedding.values', 'int8', [vocabularySize, hiddenSize]);
    const factors = this.#input('embedding.scale', 'float32', [vocabularySize, hiddenSize / BLOCK]);
    return dequantizeLinear(gather(values, ids), gather(factors, ids), BLOCK);
  }

  #packed(
    x: Value,
    matrix: { values: string; scale: string; out: number; zeros?: Value; bits?: 4 | 8 },
  ): Value {
    const { out, zeros, bits = 4 } = matrix;
    const blocks = Number(x.shape[1]) / BLOCK;
    const values = this.#input(matrix.values, 'uint8', [out, blocks, (BLOCK * bits) / 8]);
    const scale = this.#input(matrix.scale, 'float32', [out, blocks]);
    const attributes = { block: BLOCK, bits, activations: this.#plan.activations };
    return matMulNBits(x, { values, scale, ...(zeros && { zeros }) }, attributes);
  }

  #whole(tensor: string): Value {
    if (!this.#inputs.has(tensor)) this.fed.push({ input: tensor, tensor, part: 'float32' });
    return this.#input(tensor, 'float32', this.#plan.weights.shape(tensor));
  }

  #input(name: string, dataType: Value['dataType'], shape: readonly Dimension[]): Value {
    const known = this.#inputs.get(name);
    if (known) return known;
    const value = this.#graph.input(name, dataType, shape);
    this.#inputs.set(name, value);
    return value;
  }
}

/** Attention over what q, k and v projections gave, [length, (heads + 2 · keyValueHeads) · size], by layer. */
function attentionOf(
  graph: Graph,
  { configuration }: DecodingPlan,
  matrices: Matrices,
): (projected: Value, layer: number) => Value {
  const {
    attentionHeads: heads,
    keyValueHeads,
    headSize,
    headNorms,
    rmsNormEpsilon,
    slidingWindow,
  } = configuration;
  const counter = (name: string) => graph.input(name, 'int32', [1]);
  const table = (name: string) => graph.input(name, 'float32', ['positions', headSize / 2]);
  const shared = { last: counter('last'), total: counter('total'), cos: table('cos'), sin: table('sin') };
  const width = (heads + 2 * keyValueHeads) * headSize;
  const normed = (x: Value, range: { start: number; count: number }, name: string) => {
    const part = slice(x, 1, {
      start: range.start * headSize,
      end: (range.start + range.count) * headSize,
    });
    const each = reshape(part, ['length', range.count, headSize]);
    const gain = matrices.vector(name, headSize);
    return reshape(rmsNorm(each, gain, rmsNormEpsilon), ['length', range.count * headSize]);
  };
  return (projected, layer) => {
    const path = `model.layers.${layer}.self_attn`;
    const ready =
      headNorms === true
        ? concat(
            [
              normed(projected, { start: 0, count: heads }, `${path}.q_norm.weight`),
              normed(projected, { start: heads, count: keyValueHeads }, `${path}.k_norm.weight`),
              slice(projected, 1, { start: (heads + keyValueHeads) * headSize, end: width }),
            ],
            1,
          )
        : projected;
    const cache = (part: string) =>
      graph.input(`past/${layer}/${part}`, 'float32', [1, keyValueHeads, 'capacity', headSize]);
    const { y, keys, values } = groupQueryAttention(
      reshape(ready, [1, 'length', width]),
      { keys: cache('keys'), values: cache('values'), ...shared },
      { heads, keyValueHeads, window: slidingWindow ?? null },
    );
    graph.output(`present/${layer}/keys`, keys);
    graph.output(`present/${layer}/values`, values);
    return reshape(y, ['length', heads * headSize]);
  };
}
