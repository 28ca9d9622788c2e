/** @file The formats in which an adapter leaves the program, and those that it cannot be written in yet. */

export const EXPORT_FORMATS = ['peft', 'merged', 'gguf', 'onnx'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface FormatRow {
  readonly title: string;
  /** Why this version does not write it; null where it does. */
  readonly unavailable: string | null;
}

/** Every format with its name for people. */
export const FORMAT_TABLE: Readonly<Record<ExportFormat, FormatRow>> = {
  peft: { title: 'PEFT adapter', unavailable: null },
  merged: { title: 'Merged model, safetensors', unavailable: null },
  gguf: {
    title: 'Merged model, GGUF',
    unavailable: 'This version writes no GGUF files.',
  },
  onnx: {
    title: 'Merged model, ONNX',
    unavailable: 'This version writes no ONNX models.',
  },
};
