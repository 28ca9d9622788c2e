/** @file Answers about results: the adapters of this site, their export and their end. */

import { homedir } from 'node:os';
import { exportAdapter } from '../../export/export.ts';
import { EXPORT_FORMATS } from '../../export/formats.ts';
import { deleteSiteAdapter, siteAdapter, siteAdapters } from '../../site/adapters.ts';
import type { SiteAdapter } from '../../site/adapters.ts';
import type { Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import type { SiteApplication } from './application.ts';
import { isOnThisMachine } from './compute.ts';

export function resultHandlers(application: SiteApplication): Handlers {
  const { settings, tasks, emit } = application;
  const context = () => application.site().context;
  /** How the adapter's model is opened here; undefined where it is not here. */
  const modelOf = ({ reference }: SiteAdapter): string | undefined => {
    const found = reference ?? settings.get().modelPath;
    return found !== null && isOnThisMachine(found) ? found : undefined;
  };

  return {
    'results.list': () => ({
      results: siteAdapters(context()).map((adapter) => describe(adapter, modelOf(adapter) !== undefined)),
      folder: homedir(),
      formats: [...EXPORT_FORMATS],
    }),
    'results.export': ({ run, format, folder: out }) => {
      const adapter = siteAdapter(context(), run);
      const { kind, name, rounds, steps, created } = adapter;
      // An adapter by itself says which model it belongs to, which need not be here.
      const model = format === 'peft' ? undefined : modelOf(adapter);
      const about = { kind: 'export', subject: run, unit: 'tensors' } as const;
      const task = tasks.start(about, async ({ signal, progress }) => ({
        files: await exportAdapter({
          ...{ adapter: adapter.folder, format, out, signal, onProgress: progress },
          ...(model !== undefined && { model }),
          provenance: { kind, run: name, rounds, steps, created },
        }),
      }));
      return { task };
    },
    'results.delete': async ({ run }) => {
      await deleteSiteAdapter(context(), run);
      emit('changed', { what: 'results' });
      return {};
    },
  };
}

function describe(adapter: SiteAdapter, modelPresent: boolean): Output<'results.list'>['results'][number] {
  const { run, federation, name, kind, model, created, folder, bytes, rank, rounds, steps } = adapter;
  const { dataset, examples, loss, baseLoss } = adapter;
  return {
    ...{ run, federation, name, kind, model, created, path: folder, bytes, rank, rounds, steps },
    ...{ dataset, examples, loss, baseLoss, modelPresent },
  };
}
