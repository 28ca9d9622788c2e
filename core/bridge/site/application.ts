/** @file What the answers to a site's window work on: the site of a folder, which may be blocked, and its settings. */

import { toTributaryError } from '../../errors.ts';
import type { TributaryError } from '../../errors.ts';
import type { Network } from '../../network/network.ts';
import type { Site } from '../../site/site.ts';
import type { Dispatcher } from '../dispatch.ts';
import type { Program } from '../program.ts';
import type { SettingsFile } from '../settings.ts';
import { nameOfRun } from '../../site/run-names.ts';
import type { FederationStatus, SiteStatus } from '../../site/status.ts';
import type { Tasks } from '../tasks.ts';
import { problemOf } from '../problem.ts';

export interface SiteApplication {
  readonly folder: string;
  readonly program: Program;
  readonly settings: SettingsFile;
  readonly tasks: Tasks;
  /** The way to the web, as the settings say. */
  readonly network: Network;
  readonly emit: Dispatcher['emit'];
  /** The running site. Throws what keeps the folder from being used. */
  site(): Site;
  /** What keeps the folder from being used; null where nothing does. */
  blocked(): TributaryError | null;
  /** Starts the site, or finds again what keeps it from that. Never rejects. */
  open(): Promise<void>;
  /** Told of the site whenever it has been started. */
  readonly onOpen: (listener: (site: Site) => void) => void;
  /** Resolves when the site has stopped, by `close` or because it was told to. */
  readonly stopped: Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SiteApplicationOptions extends Pick<
  SiteApplication,
  'folder' | 'program' | 'settings' | 'tasks' | 'network' | 'emit'
> {
  /** Starts the site; called again where that failed. */
  readonly start: () => Promise<Site>;
}

export function createSiteApplication(options: SiteApplicationOptions): SiteApplication {
  const { folder, program, settings, tasks, network, emit } = options;
  const listeners: ((site: Site) => void)[] = [];
  let site: Site | null = null;
  let blocked: TributaryError | null = null;
  const told = new Map<number, string | undefined>();
  let markStopped: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (markStopped = resolve));

  /** What goes wrong in the background is told once, and again after something has succeeded. */
  function tellTrouble(opened: Site): void {
    for (const [federation, agent] of opened.agents) {
      const trouble = agent.trouble();
      const isNew = trouble !== null && trouble.message !== told.get(federation);
      told.set(federation, trouble?.message);
      if (isNew) emit('problem', problemOf(trouble));
    }
  }

  return {
    ...{ folder, program, settings, tasks, network, emit },
    site: () => {
      if (site === null) throw blocked ?? new TypeError('The site has not been opened.');
      return site;
    },
    blocked: () => blocked,
    open: async () => {
      if (site !== null) return;
      try {
        site = await options.start();
        blocked = null;
        const opened = site;
        void opened.stopped.then(markStopped);
        opened.watch((status) => {
          emit('status', { role: 'site', status: toContract(status) });
          tellTrouble(opened);
        });
        for (const listener of listeners) listener(opened);
      } catch (thrown) {
        blocked = toTributaryError(thrown);
      }
    },
    onOpen: (listener) => void listeners.push(listener),
    stopped,
    close: async () => {
      await tasks.close();
      await site?.stop();
      markStopped();
    },
  };
}

/** The status with runs as windows name them. Lists of the contract may be changed by who gets them. */
export function toContract(status: SiteStatus) {
  const federations = status.federations.map(named);
  return {
    ...named(status),
    runs: federations.flatMap(({ runs }) => runs),
    rehearsals: federations.flatMap(({ rehearsals }) => rehearsals),
    federations,
  };
}

function named({ number, run, runs, rehearsals, ...status }: FederationStatus) {
  const nameOf = (id: string): string => nameOfRun(number ?? 1, id);
  return {
    ...status,
    run: run && nameOf(run),
    runs: runs.map((each) => ({ ...each, id: nameOf(each.id) })),
    rehearsals: rehearsals.map(nameOf),
  };
}
