/**
 * @file New versions of the program: looked for only where a person or the machine's owner has turned it on and named
 * the institution's own server. Otherwise the code that could ask is not even loaded.
 */

import type { Logger } from 'pino';
import type { Settings } from '../../core/bridge/contract/application.ts';

/** As far as it is used: `autoUpdater` of electron-updater. */
export interface Updater {
  autoInstallOnAppQuit: boolean;
  disableWebInstaller: boolean;
  logger: unknown;
  setFeedURL(feed: { readonly provider: 'generic'; readonly url: string }): void;
  checkForUpdates(): Promise<unknown>;
  on(event: 'update-downloaded', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;

export interface UpdatesOptions {
  readonly settings: () => Pick<Settings, 'updates' | 'updateFeed'>;
  readonly load: () => Promise<Updater>;
  /** Told when a new version will be installed at the end of the program. */
  readonly onReady: () => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

export interface Updates {
  /** Looks now, where that is wanted; also after a change of the settings. Never rejects. */
  look(): Promise<void>;
  close(): void;
}

export function createUpdates({ settings, load, onReady, log }: UpdatesOptions): Updates {
  let updater: Updater | null = null;

  async function prepare(): Promise<Updater> {
    const loaded = await load();
    loaded.disableWebInstaller = true;
    loaded.logger = null;
    loaded.on('update-downloaded', onReady);
    // The promise of the check rejects too.
    loaded.on('error', () => undefined);
    return loaded;
  }

  async function look(): Promise<void> {
    const { updates, updateFeed } = settings();
    const feed = updates ? updateFeed : null;
    try {
      if (feed === null) {
        // One that was fetched before is not installed any more.
        if (updater !== null) updater.autoInstallOnAppQuit = false;
        return;
      }
      updater ??= await prepare();
      updater.autoInstallOnAppQuit = true;
      updater.setFeedURL({ provider: 'generic', url: feed });
      log.info({ feed }, 'looking for a new version');
      await updater.checkForUpdates();
    } catch (thrown) {
      log.warn({ feed, error: String(thrown) }, 'no new version was found');
    }
  }

  const timer = setInterval(() => void look(), DAY_MILLISECONDS);
  return { look, close: () => clearInterval(timer) };
}
