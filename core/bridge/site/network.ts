/** @file What the settings of a site's folder say of the network. */

import type { NetworkSettings } from '../../network/settings.ts';
import type { SettingsFile } from '../settings.ts';

export function networkOf(settings: SettingsFile): NetworkSettings {
  const { proxy, proxyAddress, proxyScript, proxyUser, certificates } = settings.get();
  return {
    ...{ proxy, proxyAddress, proxyScript, proxyUser, certificates },
    proxyPassword: settings.proxyPassword(),
  };
}
