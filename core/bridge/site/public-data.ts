/** @file Answers about public datasets: which there are, and bringing one here. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { publicDataset, PUBLIC_DATASETS, publicFolder } from '../../vault/public/catalogue.ts';
import { fetchPublicDataset } from '../../vault/public/fetch.ts';
import type { Handlers } from '../dispatch.ts';
import type { SiteApplication } from './application.ts';

export function publicDataHandlers({ tasks, network }: Pick<SiteApplication, 'tasks' | 'network'>): Handlers {
  return {
    'data.public': () => {
      const folder = publicFolder();
      const datasets = PUBLIC_DATASETS.map(
        ({ id, name, topic, licence, languages, evaluation, bytes, sha256, file }) => {
          const path = join(folder, file);
          const present = existsSync(path) ? path : null;
          return { id, name, topic, licence, languages, evaluation, bytes, sha256, path: present };
        },
      );
      return { datasets, folder };
    },
    'data.fetch': ({ dataset }) => {
      const entry = publicDataset(dataset);
      const task = tasks.start(
        { kind: 'data', subject: dataset, unit: 'bytes' },
        async ({ signal, progress }) => {
          const path = await fetchPublicDataset(entry, {
            ...{ signal, network },
            onProgress: ({ fraction, totalBytes }) =>
              progress({ done: Math.floor((fraction ?? 0) * totalBytes), total: totalBytes }),
          });
          return { path };
        },
      );
      return { task };
    },
  };
}
