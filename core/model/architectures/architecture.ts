/** @file What tells one architecture of the Llama family from another. All run through `decoder.ts`. */

export interface Architecture {
  /** Hugging Face's `model_type`. */
  readonly modelType: string;
  /** Value of GGUF's `general.architecture`; null where GGUF files carry another architecture's name. */
  readonly ggufName: string | null;
  /** Whether q, k and v projections add a bias. */
  readonly attentionBias: boolean;
  /** Whether queries and keys pass an RMSNorm of one head's size (`q_norm`, `k_norm`) before the rotation. */
  readonly headNorms: boolean;
  /** Whether llama.cpp stores the rows of q and k in the order of interleaved rotation. */
  readonly interleavedInGguf: boolean;
  /**
   * How `config.json` asks for a sliding window: never, by `sliding_window` alone (its value where the field is
   * missing), or by `sliding_window` where `use_sliding_window` is set.
   */
  readonly slidingWindow: 'never' | 'switched' | { readonly byDefault: number };
}
