/** @file Answers about training alone: it is a task, its course comes as events and is kept beside the adapter. */

import { siteAdapters } from '../../site/adapters.ts';
import { takeAloneName, trainAtSite } from '../../site/alone.ts';
import type { Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import { BUNDLED_MODEL } from '../models.ts';
import type { SiteApplication } from './application.ts';
import { engineOptions } from './compute.ts';

type Course = Output<'runs.series'>;

export interface AloneAnswers {
  readonly handlers: Handlers;
  /** The course of a training alone, under way or ended; null where there is none of this name. */
  readonly course: (run: string) => Course | null;
}

export function aloneAnswers(application: SiteApplication): AloneAnswers {
  const { settings, tasks, emit } = application;
  const running = new Map<string, Course>();

  return {
    handlers: {
      'alone.start': async ({ dataset, model = settings.get().modelPath ?? BUNDLED_MODEL, ...given }) => {
        const { context } = application.site();
        const run = await takeAloneName(context.folder);
        const steps: Course['steps'] = [];
        running.set(run, { run, steps, rounds: [], stepsPerRound: given.steps, roundsTotal: 1 });
        const about = { kind: 'alone', subject: run, unit: 'steps' } as const;
        const task = tasks.start(about, async ({ signal, progress }) => {
          progress({ done: 0, total: given.steps });
          const request = { ...given, name: run, dataset, engine: engineOptions(settings, model) };
          try {
            const outcome = await trainAtSite(
              context,
              { ...request, template: 'chat', seed: 0 },
              {
                signal,
                onStep: ({ step, loss }) => {
                  const point = { round: 0, step, loss, time: Date.now() / 1000 };
                  steps.push(point);
                  emit('series', { kind: 'step', run, ...point });
                  progress({ done: step });
                },
              },
            );
            const { adapter, loss, tokensPerSecond, baseLoss, trainedLoss, measured, heldOut } = outcome;
            emit('changed', { what: 'results' });
            return { run, adapter, loss, tokensPerSecond, baseLoss, trainedLoss, measured, heldOut };
          } finally {
            running.delete(run);
          }
        });
        return { task, run };
      },
    },
    course: (run) => {
      const now = running.get(run);
      if (now !== undefined) return { ...now, steps: [...now.steps] };
      const kept = siteAdapters(application.site().context).find((each) => each.run === run)?.course ?? [];
      if (kept.length === 0) return null;
      const steps = kept.map((point) => ({ round: 0, ...point }));
      return { run, steps, rounds: [], stepsPerRound: steps.length, roundsTotal: 1 };
    },
  };
}
