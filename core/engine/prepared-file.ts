/** @file Weights in the form in which sessions read them, written once into a file that they map into memory. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { writeFileAtomically } from '../files.ts';
import type { ExternalData } from '../graph/onnx.ts';

/** Tensors of the file that are made together. */
export interface PreparedEntry {
  /** Names of the inputs that read them, and their sizes in bytes. */
  readonly parts: readonly { readonly name: string; readonly length: number }[];
  /** The bytes of each part. */
  make(): readonly Uint8Array[];
}

/** Ranges of a file that start here can be mapped into memory. */
const PAGE = 4096;

/** What a file holds. */
export interface Preparation {
  /** All that decides the file's bytes beside its parts: another content is another file. */
  readonly content: { readonly kind: string; readonly [key: string]: unknown };
  readonly entries: readonly PreparedEntry[];
}

/** A file in a folder of the cache that is found or written at first use; after a failure the next use tries again. */
export class PreparedFile {
  readonly #folder: string;
  readonly #prepare: () => Preparation;
  #data: Promise<ExternalData> | null = null;

  constructor(folder: string, prepare: () => Preparation) {
    this.#folder = folder;
    this.#prepare = prepare;
  }

  /** Where each part lies, and the folder in which a graph that reads them must lie too. */
  async external(): Promise<{ data: ExternalData; folder: string }> {
    this.#data ??= write(this.#folder, this.#prepare()).catch((error: unknown) => {
      this.#data = null;
      throw error;
    });
    return { data: await this.#data, folder: this.#folder };
  }
}

async function write(folder: string, { content, entries }: Preparation): Promise<ExternalData> {
  const ranges = new Map<string, { offset: number; length: number }>();
  let size = 0;
  for (const { name, length } of entries.flatMap(({ parts }) => parts)) {
    ranges.set(name, { offset: size, length });
    size = padded(size + length);
  }
  const digest = createHash('sha256').update(JSON.stringify([content, [...ranges]]));
  const location = `${content.kind}-${digest.digest('hex').slice(0, 32)}.bin`;
  const path = join(folder, location);
  if (!existsSync(path) || statSync(path).size !== size) {
    mkdirSync(folder, { recursive: true });
    await writeFileAtomically(path, contents(entries));
    removeOthers(folder, content.kind, location);
  }
  return { location, ranges };
}

/** Removes what was prepared of this kind before, as by an earlier version: it can be half a gigabyte. */
function removeOthers(folder: string, kind: string, location: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${kind}-`) || !name.endsWith('.bin') || name === location) continue;
    try {
      rmSync(join(folder, name), { force: true });
    } catch {
      // Windows keeps a file that another process has mapped; the next writing tries again.
    }
  }
}

/** The parts one after the other, each beginning at a page. */
function* contents(entries: readonly PreparedEntry[]): Iterable<Uint8Array> {
  for (const entry of entries) {
    for (const bytes of entry.make()) {
      yield bytes;
      const rest = padded(bytes.length) - bytes.length;
      if (rest > 0) yield new Uint8Array(rest);
    }
  }
}

function padded(size: number): number {
  return Math.ceil(size / PAGE) * PAGE;
}

/** The bytes of an array of numbers, not copied. */
export function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Int8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
