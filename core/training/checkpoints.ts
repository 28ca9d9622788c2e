/** @file The checkpoints of one training: when they are made, and from which one it goes on. */

import { TributaryError } from '../errors.ts';
import { makeWritableFolder } from '../files.ts';
import {
  listCheckpoints,
  pruneCheckpoints,
  readCheckpoint,
  writeCheckpoint,
  type Checkpoint,
  type CheckpointPlace,
} from './checkpoint-files.ts';
import { difference, type Fingerprint } from './fingerprint.ts';
import type { Notice } from './observer.ts';

/** How many of the newest are kept unless it is said: one, and the one before it. */
const KEPT = 2;

export interface CheckpointOptions {
  /** Of this training alone. */
  readonly folder: string;
  /** Steps from one checkpoint to the next. */
  readonly everySteps?: number;
  /** Seconds from one checkpoint to the next; the end of the step is waited for. */
  readonly everySeconds?: number;
  /** How many of the newest are kept. */
  readonly keep?: number;
  /**
   * `new` refuses a folder with checkpoints; `resume` goes on from the newest and refuses another training's;
   * `continue` goes on where there is one of this training, and begins anew where there is none. `new` by default.
   */
  readonly start?: 'new' | 'resume' | 'continue';
}

export interface Checkpoints {
  /**
   * Where the training goes on, its parameters read; null where it begins.
   * @throws TributaryError `checkpoint.none`, `checkpoint.damaged`, `checkpoint.other-training`,
   * `checkpoint.folder-used`
   */
  begin(): Promise<Checkpoint | null>;
  /** Whether it is time for one, now that so many steps are taken. */
  due(step: number): boolean;
  /** Makes one and deletes old ones. @returns its folder @throws TributaryError `disk.full`, `file.*` */
  save(progress: Omit<Checkpoint, 'fingerprint'>): Promise<string>;
}

export function openCheckpoints(
  options: CheckpointOptions,
  training: {
    readonly fingerprint: Fingerprint;
    /** Writes the parameters as they are into a folder. */
    readonly write: (folder: string) => Promise<void>;
    /** Puts the parameters of a folder in the place of the present ones. */
    readonly read: (folder: string) => void;
    readonly notice: (notice: Notice) => void;
  },
): Checkpoints {
  const { folder, everySteps, everySeconds, keep = KEPT, start = 'new' } = options;
  const { fingerprint, notice } = training;
  let saved = { step: 0, at: performance.now() };

  /** The newest checkpoint that is whole. */
  async function newest(): Promise<{ place: CheckpointPlace; checkpoint: Checkpoint } | null> {
    const places = await listCheckpoints(folder);
    const damaged: TributaryError[] = [];
    for (const place of places) {
      try {
        const checkpoint = await readCheckpoint(place);
        for (const { message } of damaged) {
          const remedy = `The one of step ${place.step} is used.`;
          notice({ event: 'checkpoint-damaged', step: place.step, message: `${message} ${remedy}` });
        }
        return { place, checkpoint };
      } catch (error) {
        if (!(error instanceof TributaryError)) throw error;
        damaged.push(error);
      }
    }
    if (damaged.length > 0 && start === 'resume') {
      const message = `No checkpoint of ${folder} is whole. ${damaged[0].message}`;
      throw new TributaryError('checkpoint.damaged', message);
    }
    return null;
  }

  /** Begins anew where checkpoints of no use may lie. */
  async function beginAnew(): Promise<null> {
    await pruneCheckpoints(folder, { keep: 0 });
    return null;
  }

  return {
    async begin() {
      await makeWritableFolder(folder);
      if (start === 'new') {
        const [present] = await listCheckpoints(folder);
        if (present) {
          throw new TributaryError(
            'checkpoint.folder-used',
            `${folder} holds a checkpoint of step ${present.step} already.`,
          );
        }
        return null;
      }
      const found = await newest();
      if (!found) {
        if (start === 'continue') return beginAnew();
        throw new TributaryError('checkpoint.none', `There is no checkpoint in ${folder}.`);
      }
      const { place, checkpoint } = found;
      const differs = difference(checkpoint.fingerprint, fingerprint);
      if (differs !== null) {
        if (start === 'continue') return beginAnew();
        throw new TributaryError(
          'checkpoint.other-training',
          `The checkpoint ${place.path} belongs to another training: ${differs}.`,
        );
      }
      training.read(place.path);
      // Those after it are damaged, and must not count among the newest that are kept.
      await pruneCheckpoints(folder, { after: place.step, keep });
      saved = { step: place.step, at: performance.now() };
      notice({
        event: 'resumed',
        step: place.step,
        message: `Going on from the checkpoint of step ${place.step}.`,
      });
      return checkpoint;
    },
    due(step) {
      if (everySteps !== undefined && step - saved.step >= everySteps) return true;
      return everySeconds !== undefined && performance.now() - saved.at >= everySeconds * 1000;
    },
    async save(progress) {
      const path = await writeCheckpoint(folder, { ...progress, fingerprint }, training.write);
      await pruneCheckpoints(folder, { keep });
      saved = { step: progress.state.step, at: performance.now() };
      notice({
        event: 'checkpoint',
        step: saved.step,
        message: `Checkpoint of step ${saved.step}: ${path}.`,
      });
      return path;
    },
  };
}
