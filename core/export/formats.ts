/** @file The formats in which an adapter leaves the program. */

export const EXPORT_FORMATS = ['peft', 'merged', 'gguf', 'onnx'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export const WEIGHT_TYPES = ['float32', 'bfloat16', 'q8_0'] as const;
/**
 * How merged weights are written. bfloat16 takes half the space and rounds to eight bits of precision; q8_0 takes a
 * quarter: eight bits and a scale for every 32 weights.
 */
export type WeightType = (typeof WEIGHT_TYPES)[number];

export interface FormatRow {
  /** Types of its weights; the first unless another is asked for. An adapter by itself is always float32. */
  readonly types: readonly WeightType[];
}

export const FORMAT_TABLE: Readonly<Record<ExportFormat, FormatRow>> = {
  peft: { types: ['float32'] },
  merged: { types: ['float32', 'bfloat16'] },
  gguf: { types: ['q8_0', 'bfloat16', 'float32'] },
  onnx: { types: ['float32'] },
};
