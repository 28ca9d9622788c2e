/** @file Answers about the window itself: what it belongs to and whether its folder can be used. */

import { platform } from 'node:process';
import type { Handlers } from '../dispatch.ts';
import { bundledModel } from '../models.ts';
import type { SiteApplication } from './application.ts';
import { problemOf } from '../problem.ts';

export function applicationHandlers(application: SiteApplication): Handlers {
  const { folder, program, settings } = application;
  return {
    'app.state': () => {
      const blocked = application.blocked();
      const memberships = blocked === null ? application.site().context.store.memberships() : [];
      const first = memberships.at(0);
      return {
        role: 'site',
        folder,
        version: program.version,
        surface: program.surface,
        platform,
        stage: blocked !== null ? 'blocked' : first === undefined ? 'welcome' : 'member',
        site: first?.site ?? null,
        federation: first?.name ?? null,
        federations: memberships.map(({ name }) => name),
        settings: settings.get(),
        model: bundledModel(),
        secrets: program.secrets,
        problems: blocked === null ? [] : [problemOf(blocked)],
      };
    },
    'app.retry': async () => {
      await application.open();
      application.emit('changed', { what: 'stage' });
      return {};
    },
  };
}
