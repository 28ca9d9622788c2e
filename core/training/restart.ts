/** @file A training that outlives its process: after a crash it goes on from the last checkpoint in a new one. */

import { TributaryError } from '../errors.ts';
import { TrainerProcess } from './client.ts';
import type { Observer } from './observer.ts';
import type { StepReport, TrainRequest, TrainResult } from './requests.ts';

/** A crash that comes so often without a checkpoint in between will come again. */
const CRASHES = 3;

/**
 * Trains, and where checkpoints are made starts the process again when it crashes, up to three times from one
 * checkpoint to the next, saying so. Step reports may repeat then; the result has every step once.
 *
 * @param start puts model and adapter into a new process, the same each time
 * @returns the process that ended the training, for the caller to close, and what `start` gave for it
 * @throws TributaryError of `TrainerProcess.call`; then no process is left
 */
export async function trainWithRestarts<Opened>(
  { start, request }: { start: (trainer: TrainerProcess) => Promise<Opened>; request: TrainRequest },
  observer: Observer<StepReport>,
): Promise<{ trainer: TrainerProcess; opened: Opened; trained: TrainResult }> {
  let { checkpoints } = request;
  let hasBegun = false;
  for (let crashes = 0; ;) {
    const trainer = new TrainerProcess();
    try {
      const opened = await start(trainer);
      const trained = await trainer.call(
        'train',
        { ...request, checkpoints },
        {
          ...observer,
          report: (step) => {
            hasBegun = true;
            observer.report?.(step);
          },
          notice: (notice) => {
            hasBegun = true;
            if (notice.event === 'checkpoint') crashes = 0;
            observer.notice?.(notice);
          },
        },
      );
      return { trainer, opened, trained };
    } catch (error) {
      await trainer.close();
      const crashed = error instanceof TributaryError && error.code === 'engine.crashed';
      const isStopped = observer.signal?.aborted || observer.finish?.aborted;
      if (!crashed || !checkpoints || isStopped || ++crashes > CRASHES) throw error;
      // Before the first sign of work, what lies in the folder may still be another training's.
      if (hasBegun) checkpoints = { ...checkpoints, start: 'continue' };
      const message = `${error.message} It is started again (${crashes} of ${CRASHES} times at most from one checkpoint to the next).`;
      observer.notice?.({ event: 'engine-restarted', message });
    }
  }
}
