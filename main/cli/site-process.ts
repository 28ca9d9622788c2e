/** @file The process of a site: its agent at work, and its window for whoever asks for one. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import type { SiteApplication } from '../../core/bridge/site/application.ts';
import { networkOf } from '../../core/bridge/site/network.ts';
import { createSettingsTrainer } from '../../core/bridge/site/trainer.ts';
import { openSiteWindow } from '../../core/bridge/site/window.ts';
import { TributaryError } from '../../core/errors.ts';
import { machineRules } from '../../core/folders.ts';
import { windowPages } from '../../core/programs.ts';
import type { EngineTrainerOptions } from '../../core/site/engine-trainer.ts';
import type { NetworkSettings } from '../../core/site/network/settings.ts';
import { adapterWriter } from '../../core/site/saved-adapters.ts';
import { startSite } from '../../core/site/site.ts';
import type { SiteStatus } from '../../core/site/status.ts';
import { createWindowAddress } from './window-address.ts';
import { SOFTWARE, VERSION } from './version.ts';

export interface SiteProcessOptions {
  readonly folder: string;
  /** What was said of the engine, which goes before the settings of the window. */
  readonly engine: EngineTrainerOptions;
  /** What was said of the network, which goes before the settings too. */
  readonly network?: Partial<NetworkSettings>;
  readonly logLevel: string;
  /** Runs without a federation too, for a window in which a person joins one. */
  readonly resident: boolean;
  /** Port of the window; 0 takes a free one. */
  readonly port?: number;
  readonly onStatus: (status: SiteStatus) => void;
  /** Told in sentences what a person should know of the training. */
  readonly onNote: (sentence: string) => void;
}

export interface SiteProcess {
  readonly application: SiteApplication;
  /** A new address with a one-time token, under which the window is served. */
  readonly address: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Starts it; where the folder cannot be used, `application.blocked()` says why. */
export async function startSiteProcess(options: SiteProcessOptions): Promise<SiteProcess> {
  const { folder, engine, resident, onStatus, onNote } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const destination = pino.destination({ dest: join(folder, 'site.log'), sync: true, mode: 0o600 });
  const log = pino({ level: options.logLevel }, destination);
  const machine = machineRules();
  const started: { dispatcher?: Dispatcher } = {};
  const window = createWindowAddress({
    dispatcher: () => {
      if (started.dispatcher !== undefined) return started.dispatcher;
      throw new TributaryError('folder.not-running', 'The site is still starting.');
    },
    ...{ pages: windowPages, port: options.port },
  });
  const opened = await openSiteWindow({
    folder,
    program: { software: SOFTWARE, version: VERSION, surface: 'browser', secrets: 'file' },
    machine,
    start: (settings) => {
      const trainer = createSettingsTrainer(settings, {
        ...engine,
        onNote: (sentence) => {
          log.warn({ note: sentence }, 'training');
          onNote(sentence);
        },
        onDevice: (choice) => {
          log.info(choice, 'device');
          if (choice.device !== 'cpu') onNote(choice.reason);
        },
      });
      return startSite({
        ...{ folder, software: SOFTWARE, resident, trainer, log, onStatus },
        machinePolicy: machine.policy,
        network: () => ({ ...networkOf(settings), ...options.network }),
        saveAdapter: adapterWriter(folder, () => engine.model ?? settings.get().modelPath ?? undefined),
        commands: () => ({ window: async () => ({ url: await window.address() }) }),
      });
    },
  });
  started.dispatcher = opened.dispatcher;
  const { application } = opened;
  return {
    application,
    address: window.address,
    close: async () => {
      await window.close();
      await application.close();
    },
  };
}
