/**
 * @file Checkpoints on disk: a folder `step-00000010` for each, which appears whole or not at all. Beside the
 * parameters (for LoRA a PEFT folder, which other commands read too) it holds the optimizer's moments and a manifest
 * with the hash of every file. Nothing random is kept: all of it derives from the seed and the number of the step.
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

import { toTributaryError, TributaryError } from '../errors.ts';
import { syncFolder, writeFileAtomically } from '../files.ts';
import { encodeSafetensors, readSafetensors } from '../model/safetensors.ts';
import type { FlatTensors, OptimizerState } from './optimizers/optimizer.ts';
import type { StepReport } from './requests.ts';

const MANIFEST = 'checkpoint.json';
const MOMENTS = 'moments.safetensors';
const NAME = /^step-(\d+)$/;
/** What a crash has left behind, or is about to be deleted. */
const LEFTOVER = /^\.step-\d+\.[0-9a-f]+\.tmp$/;

/** What a training was when a checkpoint was made, beside its parameters. */
export interface Checkpoint {
  /** What decides the numbers, by name. */
  readonly fingerprint: Readonly<Record<string, string>>;
  /** Of every step so far, the first first. */
  readonly reports: readonly StepReport[];
  /** Its number of steps is where the training goes on: the cursor into the data. */
  readonly state: OptimizerState;
}

/** A checkpoint by its place. */
export interface CheckpointPlace {
  readonly step: number;
  readonly path: string;
}

const manifestSchema = z.object({
  version: z.literal(1),
  step: z.number().int().positive(),
  fingerprint: z.record(z.string(), z.string()),
  /** SHA-256 of every other file of the folder. */
  files: z.record(z.string(), z.string()),
  /** Reports are read back as they were written, for their hash is checked. */
  reports: z.array(z.custom<StepReport>((value) => typeof value === 'object' && value !== null)),
});
const sealedSchema = z.object({ sha256: z.string(), manifest: z.unknown() });

/** The checkpoints of a folder, the newest first. A folder that is not there has none. */
export async function listCheckpoints(folder: string): Promise<CheckpointPlace[]> {
  return (await entries(folder))
    .flatMap((name) => {
      const step = NAME.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), path: join(folder, name) }];
    })
    .sort((a, b) => b.step - a.step);
}

/**
 * Writes a checkpoint and returns its place. A crash at any moment leaves the earlier ones as they were.
 * @param writeParameters writes the parameters into a folder
 * @throws TributaryError `disk.full`, `file.*`
 */
export async function writeCheckpoint(
  folder: string,
  { fingerprint, reports, state }: Checkpoint,
  writeParameters: (folder: string) => Promise<void>,
): Promise<string> {
  const name = `step-${String(state.step).padStart(8, '0')}`;
  const path = join(folder, name);
  const temporary = temporaryOf(folder, name);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    await writeParameters(temporary);
    await writeFileAtomically(join(temporary, MOMENTS), encodeMoments(state.moments));
    const files: Record<string, string> = {};
    for (const file of (await readdir(temporary)).sort()) {
      files[file] = sha256(await readFile(join(temporary, file)));
    }
    const manifest = { version: 1, step: state.step, fingerprint, files, reports };
    const sealed = { sha256: sha256(JSON.stringify(manifest)), manifest };
    await writeFileAtomically(join(temporary, MANIFEST), JSON.stringify(sealed));
    // One of the same step that was damaged, or was made before a crash.
    if (existsSync(path)) await discard(folder, path);
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw toTributaryError(error);
  }
  return path;
}

/**
 * Reads a checkpoint and checks every byte of it; its parameters lie in its folder.
 * @throws TributaryError `checkpoint.damaged`
 */
export async function readCheckpoint({ path, step }: CheckpointPlace): Promise<Checkpoint> {
  try {
    const sealed = sealedSchema.parse(JSON.parse(readFileSync(join(path, MANIFEST), 'utf8')));
    if (sha256(JSON.stringify(sealed.manifest)) !== sealed.sha256) throw new Error(`${MANIFEST} was changed`);
    const manifest = manifestSchema.parse(sealed.manifest);
    if (manifest.step !== step || manifest.reports.length !== step) {
      throw new Error(`${MANIFEST} is of step ${manifest.step}`);
    }
    for (const [file, hash] of Object.entries(manifest.files)) {
      if (sha256(await readFile(join(path, file))) !== hash)
        throw new Error(`${file} was changed or cut short`);
    }
    const moments = decodeMoments(join(path, MOMENTS));
    return { fingerprint: manifest.fingerprint, reports: manifest.reports, state: { step, moments } };
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? `${MANIFEST} is incomplete` : reasonOf(cause);
    throw new TributaryError('checkpoint.damaged', `The checkpoint ${path} is damaged: ${reason}.`, {
      cause,
    });
  }
}

/**
 * Deletes the checkpoints after the step `after`, of the others all but the newest `keep`, and what crashes have left
 * behind.
 */
export async function pruneCheckpoints(
  folder: string,
  { keep, after = Infinity }: { keep: number; after?: number },
): Promise<void> {
  const places = await listCheckpoints(folder);
  const kept = places.filter(({ step }) => step <= after).slice(0, keep);
  for (const place of places) if (!kept.includes(place)) await discard(folder, place.path);
  for (const name of await entries(folder)) {
    if (LEFTOVER.test(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof SyntaxError) return `${MANIFEST} is not JSON`;
  return toTributaryError(cause).message.replace(/\.$/, '');
}

/** Deletes a checkpoint so that a crash never leaves half of it under its name. */
async function discard(folder: string, path: string): Promise<void> {
  const temporary = temporaryOf(folder, path.slice(folder.length + 1));
  await rename(path, temporary);
  await rm(temporary, { recursive: true, force: true });
}

function temporaryOf(folder: string, name: string): string {
  return join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`);
}

async function entries(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  return readdir(folder);
}

/** Tensors `first/0`, `first/1`, … of each moment. */
function encodeMoments(moments: OptimizerState['moments']): Buffer {
  const tensors = Object.entries(moments).flatMap(([name, flat]) =>
    flat.map((data, index) => [`${name}/${index}`, { shape: [data.length], data }] as const),
  );
  return encodeSafetensors(new Map(tensors), { moments: JSON.stringify(Object.keys(moments)) });
}

function decodeMoments(path: string): OptimizerState['moments'] {
  const moments: Record<string, FlatTensors> = {};
  for (const [key, { data }] of readSafetensors(path)) {
    const name = key.slice(0, key.lastIndexOf('/'));
    moments[name] = [...(moments[name] ?? []), data];
  }
  return moments;
}

function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
