/** @file What every window may ask, whosever it is: settings, long work, files of this machine, models. */

import type { Dispatcher, Handlers } from './dispatch.ts';
import { fileHandlers } from './files.ts';
import { modelHandlers } from './models.ts';
import type { Network } from '../network/network.ts';
import { settingsHandlers } from './settings-answers.ts';
import type { SettingsFile } from './settings.ts';
import { taskHandlers } from './tasks-answers.ts';
import type { Tasks } from './tasks.ts';

export function commonHandlers(application: {
  readonly settings: SettingsFile;
  readonly tasks: Tasks;
  readonly network: Network;
  readonly emit: Dispatcher['emit'];
}): Handlers {
  return {
    ...settingsHandlers(application),
    ...taskHandlers(application.tasks),
    ...fileHandlers(),
    ...modelHandlers(application),
  };
}
