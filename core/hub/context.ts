/** @file What the parts of a hub share. */

import type { Logger } from 'pino';
import type { BlobStore } from '../federation/blobs.ts';
import type { Identity } from '../federation/identity.ts';
import type { Message } from '../federation/messages.ts';
import type { Metrics } from '../federation/metrics.ts';
import type { Members } from './members.ts';
import type { Traffic } from './records.ts';
import type { Rehearsal } from './rehearsals.ts';
import type { RunStore } from './run-store.ts';
import type { Store } from './store.ts';

/** What happens in a hub, for whoever shows it. */
export type HubEvent =
  | { readonly type: 'listening'; readonly url: string }
  | { readonly type: 'joined' | 'connected'; readonly site: string }
  | { readonly type: 'disconnected'; readonly site: string; readonly reason: string }
  | { readonly type: 'proposed' | 'started'; readonly run: string }
  | { readonly type: 'approved'; readonly run: string; readonly site: string; readonly examples: number }
  | {
      readonly type: 'rehearsed';
      readonly rehearsal: string;
      readonly site: string;
      readonly state: string;
      readonly reason: string;
    }
  | { readonly type: 'declined'; readonly run: string; readonly site: string; readonly reason: string }
  | { readonly type: 'excluded'; readonly run: string; readonly site: string; readonly reason: string }
  | { readonly type: 'paused'; readonly run: string; readonly reason: string; readonly begun: boolean }
  | { readonly type: 'resumed' | 'extended'; readonly run: string }
  | {
      readonly type: 'scored';
      readonly run: string;
      readonly round: number;
      readonly metrics: Metrics;
      /** Held-out rows of all sites, and the sites that told their numbers. */
      readonly examples: number;
      readonly sites: readonly string[];
    }
  | {
      readonly type: 'update';
      readonly run: string;
      /** The round that it counts in. */
      readonly round: number;
      readonly site: string;
      /** Of a late update: the round that it was trained in. */
      readonly late?: number;
    }
  | {
      readonly type: 'refused';
      readonly run: string;
      readonly round: number;
      readonly site: string;
      readonly code: string;
      readonly reason: string;
    }
  | {
      readonly type: 'round';
      readonly run: string;
      readonly round: number;
      readonly loss: number;
      /** Other numbers of the cohort, such as `preferenceAccuracy`. */
      readonly metrics: Metrics;
      /** Sealed bytes from the sites to the hub, and back. */
      readonly bytesUp: number;
      readonly bytesDown: number;
      readonly seconds: number;
      /** Of these, by the round's phase. */
      readonly phases: Readonly<Record<string, number>>;
      readonly cohort: readonly string[];
    }
  | { readonly type: 'ended'; readonly run: string; readonly state: string; readonly reason: string };

/** What a site last told of its work, and since when it has been away. Kept in memory only. */
export interface Presence {
  readonly connected: boolean;
  /** Unix seconds when it came or went; null if it was never here since the hub has started. */
  readonly since: number | null;
  /** Seconds since anything came of it, heartbeats too; null while it is not connected. */
  readonly silentSeconds: number | null;
  readonly progress: {
    readonly run: string;
    readonly round: number;
    readonly phase: string;
    readonly step: number;
    readonly steps: number;
  } | null;
  /** What keeps it from going on, and since when, unless it has gone on since. */
  readonly trouble: {
    readonly run: string;
    readonly code: string;
    readonly reason: string;
    readonly since: number;
  } | null;
}

/** The way to the sites. What cannot be sent now is owed and sent when the site is back. */
export interface Outbox {
  send(site: string, message: Message): void;
  /** Sealed bytes of a site that have not been settled. */
  traffic(site: string): Traffic;
  /** They are written down. */
  settleTraffic(traffic: Traffic): void;
  presence(site: string): Presence;
  /** Ends a site's connections. */
  disconnect(site: string, code: 'site.revoked'): void;
}

export interface HubContext {
  readonly folder: string;
  readonly identity: Identity;
  /** The keys before, while they are still answered to. */
  readonly former: Identity | null;
  readonly store: Store;
  readonly runs: RunStore;
  readonly members: Members;
  readonly blobs: BlobStore;
  readonly outbox: Outbox;
  readonly log: Logger;
  readonly emit: (event: HubEvent) => void;
  /** Blobs that must not be deleted; a blob that is offered while others are deleted is added at once. */
  readonly keep: Set<string>;
  /** Why a run cannot go on although it should, by run; kept in memory. */
  readonly trouble: Map<string, string>;
  /** Plans that sites were asked to measure, by their rehearsal; kept in memory. */
  readonly rehearsals: Map<string, Rehearsal>;
  /** Unix seconds. */
  readonly now: () => number;
  /** When this process opened the folder, in Unix seconds. */
  readonly started: number;
  /** Runs one piece of work after the other, so that no two of them see each other half done. */
  readonly inTurn: <T>(work: () => T | Promise<T>) => Promise<T>;
}
