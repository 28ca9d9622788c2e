/** @file Answers about what a person chose for the windows of a folder. */

import type { Dispatcher, Handlers } from './dispatch.ts';
import type { SettingsFile } from './settings.ts';

export function settingsHandlers({
  settings,
  emit,
}: {
  readonly settings: SettingsFile;
  readonly emit: Dispatcher['emit'];
}): Handlers {
  const answer = () => ({
    settings: settings.get(),
    fixed: [...settings.fixed],
    hasProxyPassword: settings.proxyPassword() !== null,
  });
  return {
    'settings.proxyPassword': async ({ password }) => {
      await settings.setProxyPassword(password);
      emit('changed', { what: 'settings' });
      return answer();
    },
    'settings.get': answer,
    'settings.set': async ({ settings: changes }) => {
      await settings.set(changes);
      emit('changed', { what: 'settings' });
      return answer();
    },
  };
}
