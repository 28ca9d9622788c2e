/** @file What the hub remembers of runs and rounds, as the rest of the hub sees it. */

import type { Published } from '../federation/broadcast.ts';
import type { Metrics } from '../federation/metrics.ts';
import type { BlobReference } from '../federation/shapes.ts';

export type RunState = 'proposed' | 'running' | 'completed' | 'failed' | 'cancelled';
export type RoundPhase = 'collecting' | 'closing' | 'scoring' | 'closed';

export interface RunRecord {
  readonly id: string;
  /** Canonical JSON, as sites approve it. */
  readonly plan: string;
  readonly planHash: string;
  /** The model's dimensions as JSON. */
  readonly configuration: string;
  readonly state: RunState;
  readonly reason: string;
  /** The final adapter of a completed run. */
  readonly adapter: Published | null;
  /** Why no further round is opened; null while the run goes on. */
  readonly paused: string | null;
  /** Seconds that a round may take, where the plan's deadline was extended. */
  readonly deadline: number | null;
  /** The plan with more rounds that sites are asked to approve. */
  readonly amendment: { readonly plan: string; readonly planHash: string } | null;
}

/** A site's answer to a proposal. */
export interface Answer {
  readonly site: string;
  readonly approved: boolean;
  /** Training rows the site will use; it may not claim more in a round. */
  readonly examples: number | null;
  readonly code: string | null;
  readonly reason: string | null;
}

export interface RoundRecord {
  readonly run: string;
  /** From 0. */
  readonly number: number;
  readonly phase: RoundPhase;
  /** What the sites train from. */
  readonly base: Published;
  /** The hub's control variate as the sites receive it; null where it is zero or there is none. */
  readonly control: Published | null;
  /** Hashes of the float64 blobs before the round: `weights` and the strategy's moments. */
  readonly state: Readonly<Record<string, string>>;
  /** Seconds of the hub's uptime that the round has taken. */
  readonly seconds: number;
  /** Sites whose updates entered, in the order of their names; null while the round is collecting. */
  readonly cohort: readonly string[] | null;
  /** Mean of the sites' losses weighted by examples. */
  readonly loss: number | null;
  readonly aggregate: BlobReference | null;
  /** Position of the aggregate's entry in the ledger. */
  readonly ledgerIndex: number | null;
  /** Sites that the round asks, in the order of their names; null where it asks all of the run. */
  readonly selected: readonly string[] | null;
  /** Hashes of the float64 blobs after the round, once it has an aggregate. */
  readonly nextState: Readonly<Record<string, string>> | null;
  /** Sites whose scores are awaited; null where none are. */
  readonly scorers: readonly string[] | null;
  /** Seconds of the round when scoring began. */
  readonly scoringFrom: number | null;
}

/** What a site has sent for a round. */
export interface Contribution {
  readonly site: string;
  readonly state: 'committed' | 'refused';
  readonly hash: string;
  readonly examples: number | null;
  readonly loss: number | null;
  /** What it measured besides, by name. */
  readonly metrics: Metrics | null;
  readonly code: string | null;
  readonly reason: string | null;
  /** Of an update that came late: the round that it was trained in, and the base of that round. */
  readonly late: { readonly round: number; readonly base: string } | null;
}

/** What a site has measured of an aggregate on rows that it holds out. */
export interface Score {
  readonly site: string;
  /** Rows it was measured on; 0 where it was not, or may not be told. */
  readonly examples: number;
  readonly metrics: Metrics;
  /** Why there are no numbers; empty where there are. */
  readonly reason: string;
}

/** Sealed bytes of a site in a round, seen from the site: `up` is what it sent. */
export interface Traffic {
  readonly site: string;
  readonly up: number;
  readonly down: number;
}
