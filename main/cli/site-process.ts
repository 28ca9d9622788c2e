/** @file The process of a site: its agent at work, and its window for whoever asks for one. */

import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import type { SiteApplication } from '../../core/bridge/site/application.ts';
import { TributaryError } from '../../core/errors.ts';
import { windowPages } from '../../core/programs.ts';
import { openSiteProgram } from '../site-program.ts';
import type { SiteProgramOptions } from '../site-program.ts';
import { createWindowAddress } from './window-address.ts';

export interface SiteProcessOptions extends Pick<
  SiteProgramOptions,
  'folder' | 'engine' | 'network' | 'logLevel' | 'resident' | 'onStatus' | 'onNote'
> {
  /** Port of the window; 0 takes a free one. */
  readonly port?: number;
}

export interface SiteProcess {
  readonly application: SiteApplication;
  /** A new address with a one-time token, under which the window is served. */
  readonly address: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Starts it; where the folder cannot be used, `application.blocked()` says why. */
export async function startSiteProcess({ port, ...options }: SiteProcessOptions): Promise<SiteProcess> {
  const started: { dispatcher?: Dispatcher } = {};
  const window = createWindowAddress({
    dispatcher: () => {
      if (started.dispatcher !== undefined) return started.dispatcher;
      throw new TributaryError('folder.not-running', 'The site is still starting.');
    },
    ...{ pages: windowPages, port },
  });
  const { application, dispatcher } = await openSiteProgram({
    ...options,
    program: { surface: 'browser', secrets: 'file' },
    commands: () => ({ window: async () => ({ url: await window.address() }) }),
  });
  started.dispatcher = dispatcher;
  return {
    application,
    address: window.address,
    close: async () => {
      await window.close();
      await application.close();
    },
  };
}
