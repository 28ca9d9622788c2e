/** @file Answers about the window itself. A hub's window is there only while the hub runs, so nothing can block it. */

import { platform } from 'node:process';
import type { Handlers } from '../dispatch.ts';
import { bundledModel } from '../models.ts';
import type { HubApplication } from './application.ts';

export function applicationHandlers({ folder, program, settings, hub }: HubApplication): Handlers {
  return {
    'app.state': () => ({
      role: 'hub',
      folder,
      version: program.version,
      surface: program.surface,
      platform,
      stage: 'member',
      site: null,
      federation: hub.context.store.setting('federation'),
      federations: [],
      settings: settings.get(),
      model: bundledModel(),
      secrets: program.secrets,
      problems: [],
    }),
    'app.retry': () => ({}),
  };
}
