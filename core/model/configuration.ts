/** @file The shape of a decoder-only transformer: all that is known of a model before its weights are read. */

/** RoPE frequency scaling of Llama 3.x (`rope_type: "llama3"`). */
export interface RopeScaling {
  readonly type: 'llama3';
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  /** Context length before the scaling, in tokens. */
  readonly originalMaximumPositions: number;
}

/** Field meanings follow Hugging Face's `config.json`; GGUF metadata is mapped to the same words. */
export interface ModelConfiguration {
  /** Hugging Face's `model_type`, which also names the file under `core/model/architectures`. */
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly attentionHeads: number;
  readonly keyValueHeads: number;
  /** Size of one head; need not be hiddenSize / attentionHeads. */
  readonly headSize: number;
  readonly vocabularySize: number;
  /** Longest context in tokens. */
  readonly maximumPositions: number;
  readonly rmsNormEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
  /** Whether the output head is the token embedding. */
  readonly tiedEmbedding: boolean;
  /** Whether q, k and v projections add a bias (qwen2). */
  readonly attentionBias: boolean;
  /** Whether queries and keys are normalised head by head before they are rotated (qwen3); default no. */
  readonly headNorms?: boolean;
  /** A token attends to this many tokens, itself included, and to none before them; absent: to all. */
  readonly slidingWindow?: number;
}

/** Name of the token embedding [vocabularySize, hiddenSize]. */
export const EMBEDDING = 'model.embed_tokens.weight';

/** Name of the matrix [vocabularySize, hiddenSize] that gives the scores. */
export function headName({ tiedEmbedding }: Pick<ModelConfiguration, 'tiedEmbedding'>): string {
  return tiedEmbedding ? EMBEDDING : 'lm_head.weight';
}
