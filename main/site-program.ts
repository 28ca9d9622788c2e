/** @file A site with what a program brings to it: its log, its trainer, the answers of its window. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Program } from '../core/bridge/program.ts';
import { networkOf } from '../core/bridge/site/network.ts';
import type { SettingsFile } from '../core/bridge/settings.ts';
import { createSettingsTrainer } from '../core/bridge/site/trainer.ts';
import { openSiteWindow } from '../core/bridge/site/window.ts';
import type { SiteWindow, SiteWindowOptions } from '../core/bridge/site/window.ts';
import { machineRules } from '../core/folders.ts';
import type { EngineTrainerOptions } from '../core/site/engine-trainer.ts';
import type { NetworkSettings } from '../core/network/settings.ts';
import { adapterWriter } from '../core/site/saved-adapters.ts';
import { startSite } from '../core/site/site.ts';
import type { SiteOptions } from '../core/site/site.ts';
import { tuneSite } from './runtime.ts';
import { SOFTWARE, VERSION } from './version.ts';

export interface SiteProgramOptions
  extends
    Pick<SiteOptions, 'folder' | 'resident' | 'secrets' | 'commands' | 'onStatus'>,
    Pick<SiteWindowOptions, 'answers'> {
  /** In what the window lives, and where the keys are. */
  readonly program: Omit<Program, 'software' | 'version'>;
  /** What was said of the engine, which goes before the settings of the window. */
  readonly engine: EngineTrainerOptions;
  /** What was said of the network, which goes before the settings too. */
  readonly network?: Partial<NetworkSettings>;
  readonly logLevel: string;
  /** Told in sentences what a person should know of the training. */
  readonly onNote: (sentence: string) => void;
}

export interface SiteProgram extends SiteWindow {
  readonly log: Logger;
}

/** Starts it; where the folder cannot be used, `application.blocked()` says why. @throws TributaryError `settings.damaged` */
export async function openSiteProgram(options: SiteProgramOptions): Promise<SiteProgram> {
  const { folder, engine, resident, secrets, commands, answers, onStatus, onNote } = options;
  tuneSite();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const destination = pino.destination({ dest: join(folder, 'site.log'), sync: true, mode: 0o600 });
  const log = pino({ level: options.logLevel }, destination);
  const machine = machineRules();
  const networkSettings = (settings: SettingsFile) => () => ({ ...networkOf(settings), ...options.network });
  const opened = await openSiteWindow({
    ...{ folder, machine, answers },
    network: networkSettings,
    program: { ...options.program, software: SOFTWARE, version: VERSION },
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
        ...{ folder, software: SOFTWARE, resident, trainer, log, secrets, commands, onStatus },
        machinePolicy: machine.policy,
        network: networkSettings(settings),
        saveAdapter: adapterWriter(folder, () => engine.model ?? settings.get().modelPath ?? undefined),
      });
    },
  });
  return { ...opened, log };
}
