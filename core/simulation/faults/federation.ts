/** @file A hub and its sites in one process, over the network in memory: stopped, started and disturbed at will. */

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../../errors.ts';
import { writeFileAtomically } from '../../files.ts';
import { encodeTensors } from '../../federation/codec.ts';
import { sha256 } from '../../federation/canonical.ts';
import type { HubEvent } from '../../hub/context.ts';
import { initHub } from '../../hub/folder.ts';
import { startHub } from '../../hub/hub.ts';
import type { Hub } from '../../hub/hub.ts';
import { machine } from '../../machine.ts';
import { askSite } from '../../site/ask.ts';
import { startSite } from '../../site/site.ts';
import type { Site } from '../../site/site.ts';
import type { SitePoint } from '../../site/store.ts';
import type { HubPoint } from './faults.ts';
import { createNetwork } from './network.ts';
import type { Network } from './network.ts';
import { createPretendedTrainer } from './pretended-training.ts';
import type { PretendedTrainer } from './pretended-training.ts';

const SOFTWARE = 'tributary simulation';
const DATASET = 'rows';

/** Founds a federation in a folder, over real sockets: sites joined, rows imported, every plan approved. */
export async function foundFederation(
  folder: string,
  sites: Readonly<Record<string, number>>,
): Promise<void> {
  const hubFolder = join(folder, 'hub');
  await initHub({ folder: hubFolder, name: 'simulated' });
  const hub = await startHub({ folder: hubFolder });
  try {
    for (const [name, rows] of Object.entries(sites)) {
      const site = { folder: join(folder, name), software: SOFTWARE };
      await mkdir(site.folder, { recursive: true });
      const { invitation } = await hub.ask('invite', { site: name });
      await askSite(site, 'join', { invitation });
      const file = join(folder, `${name}.jsonl`);
      await writeFileAtomically(file, examplesText(rows));
      await askSite(site, 'import', { file, as: DATASET });
      await askSite(site, 'approve', { standing: true, dataset: DATASET });
    }
  } finally {
    await hub.stop();
  }
}

/** A copy of a founded federation, to be disturbed. */
export async function copyFederation(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('.sock') });
}

function examplesText(rows: number): string {
  return Array.from(
    { length: rows },
    (_, row) => `${JSON.stringify({ question: `q${row}`, answer: 'a' })}\n`,
  ).join('');
}

/** A death to come: at the n-th passage of a point, for so long. */
export interface Bomb<Point> {
  readonly point: Point;
  readonly passage: number;
  readonly milliseconds: number;
}

/** Bombs that wait, of which a passage may set one off. */
function createBombs<Point>(): {
  readonly arm: (bomb: Bomb<Point>) => void;
  readonly pass: (point: Point) => Bomb<Point> | null;
} {
  let waiting: { readonly bomb: Bomb<Point>; left: number }[] = [];
  return {
    arm: (bomb) => void waiting.push({ bomb, left: bomb.passage }),
    pass: (point) => {
      for (const entry of waiting) {
        if (entry.bomb.point !== point) continue;
        entry.left -= 1;
        if (entry.left > 0) continue;
        waiting = waiting.filter((other) => other !== entry);
        return entry.bomb;
      }
      return null;
    },
  };
}

export interface LiveFederation {
  readonly network: Network;
  readonly trainers: ReadonlyMap<string, PretendedTrainer>;
  hub(): Hub | null;
  /** Starts the hub unless it runs; one that dies at once is started again later by whoever waits for it. */
  startHub(): Promise<void>;
  stopHub(): Promise<void>;
  startSite(name: string): Promise<void>;
  stopSite(name: string): Promise<void>;
  /** The hub dies at the n-th passage of a point from now, and stays away for so long. */
  armHub(bomb: Bomb<HubPoint>): void;
  armSite(name: string, bomb: Bomb<SitePoint>): void;
  /** Null while it is down. */
  site(name: string): Site | null;
  /** SHA-256 of the final adapters as the sites have saved them, by site. */
  readonly saved: ReadonlyMap<string, string>;
  /** Calls back when the hub ends the run or a site saves its adapter. */
  onProgress: () => void;
  stop(): Promise<void>;
}

/** Opens a federation of a folder; nothing runs yet. */
export function openFederation(options: {
  readonly folder: string;
  readonly sites: readonly string[];
  readonly onEvent: (event: HubEvent) => void;
}): LiveFederation {
  const { folder, sites, onEvent } = options;
  const network = createNetwork();
  const trainers = new Map(sites.map((name) => [name, createPretendedTrainer(true)]));
  const running = new Map<string, Site>();
  const saved = new Map<string, string>();
  let hub: Hub | null = null;
  const hubBombs = createBombs<HubPoint>();
  const siteBombs = new Map(sites.map((name) => [name, createBombs<SitePoint>()]));
  /** Sites that have died and whose last breaths must not be written down. */
  const dead = new Set<string>();
  let isOver = false;

  function passHub(point: HubPoint): void {
    const bomb = hubBombs.pass(point);
    if (bomb === null) return;
    hub = null;
    machine.startTimer(bomb.milliseconds, () => void federation.startHub());
    throw death(`The hub dies at ${point}.`);
  }

  function passSite(name: string, point: SitePoint): void {
    if (dead.has(name)) throw death(`${name} is dead.`);
    const bomb = siteBombs.get(name)?.pass(point) ?? null;
    if (bomb === null) return;
    dead.add(name);
    network.drop(name);
    void federation
      .stopSite(name)
      .then(() => machine.startTimer(bomb.milliseconds, () => void federation.startSite(name)));
    throw death(`${name} dies at ${point}.`);
  }

  const federation: LiveFederation = {
    network,
    trainers,
    saved,
    onProgress: () => undefined,
    hub: () => hub,
    site: (name) => running.get(name) ?? null,
    armHub: hubBombs.arm,
    armSite: (name, bomb) => siteBombs.get(name)?.arm(bomb),
    startHub: async () => {
      if (hub !== null || isOver) return;
      try {
        const started = await startHub({
          folder: join(folder, 'hub'),
          heartbeatSeconds: 5,
          listen: network.listen,
          crashPoint: passHub,
          onEvent: (event) => {
            onEvent(event);
            federation.onProgress();
          },
        });
        hub = started;
        void started.stopped.then(() => {
          if (hub === started) hub = null;
        });
      } catch {
        // It died while it was starting, or the one before has not let go of its folder yet.
        if (!isOver) machine.startTimer(1000, () => void federation.startHub());
      }
    },
    stopHub: async () => {
      const stopping = hub;
      hub = null;
      await stopping?.stop();
    },
    startSite: async (name) => {
      if (running.has(name) || isOver) return;
      dead.delete(name);
      try {
        const site = await startSite({
          folder: join(folder, name),
          trainer: trainers.get(name) ?? createPretendedTrainer(true),
          software: SOFTWARE,
          connect: network.connectFrom(name),
          crashPoint: (point) => passSite(name, point),
          saveAdapter: (_run, _plan, tensors) => {
            saved.set(name, sha256(encodeTensors(tensors)));
            federation.onProgress();
            return Promise.resolve();
          },
        });
        running.set(name, site);
      } catch {
        // The one before has not let go of its folder yet.
        if (!isOver) machine.startTimer(1000, () => void federation.startSite(name));
      }
    },
    stopSite: async (name) => {
      const stopping = running.get(name);
      running.delete(name);
      await stopping?.stop();
    },
    stop: async () => {
      isOver = true;
      for (const name of sites) await federation.stopSite(name);
      await federation.stopHub();
    },
  };
  return federation;
}

function death(how: string): TributaryError {
  return new TributaryError('wire.closed', how);
}
