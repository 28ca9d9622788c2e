/** @file Exports an adapter: one way in for all formats. */

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import { writeFilesAtomically } from '../files.ts';
import type { FileContent } from '../files.ts';
import { readAdapter, readAdapterBase } from '../model/adapter.ts';
import { openModel } from '../model/open.ts';
import { FORMAT_TABLE } from './formats.ts';
import type { ExportFormat, WeightType } from './formats.ts';
import { ggufFiles } from './gguf.ts';
import type { Merge } from './merge.ts';
import { mergedFolder } from './merged.ts';
import { modelCard, MODEL_CARD } from './model-card.ts';
import type { Provenance } from './model-card.ts';
import { onnxFiles } from './onnx.ts';
import { writePeft } from './peft.ts';

export interface ExportRequest {
  /** PEFT folder. */
  readonly adapter: string;
  /**
   * Catalogue id, `tiny` or path of the base model. Without it the adapter's folder must say which it is, and nothing
   * but `peft` can be written.
   */
  readonly model?: string;
  readonly format: ExportFormat;
  /** Folder to write; it must not exist or be empty. */
  readonly out: string;
  /** Type of merged weights; the format's first one unless it is said. */
  readonly type?: WeightType;
  /** What the model card tells of the training. */
  readonly provenance?: Provenance;
  readonly signal?: AbortSignal;
  /** Told the tensors written so far, of a merged model. */
  readonly onProgress?: (at: { readonly done: number; readonly total: number }) => void;
}

/** The files of a merged model besides its card. */
const MERGED: Readonly<Record<Exclude<ExportFormat, 'peft'>, (merge: Merge) => Record<string, FileContent>>> =
  {
    merged: mergedFolder,
    gguf: ggufFiles,
    onnx: onnxFiles,
  };

/**
 * Writes the files, all of them or none, and returns their paths.
 * @throws TributaryError `export.unavailable`, `export.not-empty`, `export.no-base`, `usage.invalid` for a type that the
 * format has not, `disk.full`, `file.*`, what `readAdapter` and `openModel` throw, and the signal's reason when it aborts
 */
export async function exportAdapter(request: ExportRequest): Promise<string[]> {
  const { adapter, model: reference, format, out } = request;
  const { types } = FORMAT_TABLE[format];
  const type = request.type ?? types[0];
  if (!types.includes(type)) {
    throw new TributaryError(
      'usage.invalid',
      `The format ${format} is written as ${types.join(' or ')}, not as ${type}.`,
    );
  }
  request.signal?.throwIfAborted();
  if (format === 'peft' && reference === undefined) {
    const base = readAdapterBase(adapter);
    if (base === null) throw noBase(adapter);
    await makeEmptyFolder(out);
    return inFolder(out, await writePeft({ ...request, base }));
  }
  if (reference === undefined) throw noBase(adapter);
  const model = await openModel(reference);
  try {
    await makeEmptyFolder(out);
    const written =
      format === 'peft'
        ? writePeft({ ...request, base: model })
        : writeMerged(format, { model, adapter: readAdapter(adapter, model), type, request });
    return inFolder(out, await written);
  } finally {
    model.close();
  }
}

async function writeMerged(format: keyof typeof MERGED, merge: Merge): Promise<string[]> {
  const { request, type } = merge;
  const content = MERGED[format](merge);
  const merged = { type, format, files: Object.keys(content) };
  const base = merge.model.identity;
  const card = modelCard({
    base,
    adapter: merge.adapter.configuration,
    provenance: request.provenance,
    merged,
  });
  const files = { ...content, [MODEL_CARD]: card };
  try {
    await writeFilesAtomically(request.out, files, 0o644);
  } catch (thrown) {
    request.signal?.throwIfAborted();
    throw toTributaryError(thrown);
  }
  return Object.keys(files).sort();
}

function noBase(adapter: string): TributaryError {
  return new TributaryError('export.no-base', `${adapter} does not say which model it belongs to.`);
}

/** What lies in a folder already is never mixed with what is written, nor overwritten. */
async function makeEmptyFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const [found] = await readdir(folder);
    if (found === undefined) return;
    throw new TributaryError('export.not-empty', `${folder} is not empty: there is ${found}.`);
  } catch (thrown) {
    throw toTributaryError(thrown);
  }
}

function inFolder(folder: string, names: readonly string[]): string[] {
  return names.map((name) => join(folder, name));
}
