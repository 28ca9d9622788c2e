/** @file The hub's figures in the form that Prometheus reads. Names of sites and runs only, nothing of their data. */

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { HubContext, HubEvent } from './context.ts';

export interface HubMetrics {
  /** Counts an event. */
  see(event: HubEvent): void;
  /** Counts a connection that was refused. */
  readonly seeRefused: (code: string) => void;
  /** The page, and its content type. */
  render(): Promise<{ readonly text: string; readonly type: string }>;
}

type Subject = Pick<HubContext, 'runs' | 'members' | 'outbox'>;

let processMetrics: Registry | undefined;

/**
 * Of the process that hubs run in: memory, processor time, the event loop's delay. Once for all of them, since what
 * watches the event loop and the garbage collector can never be told to end.
 */
function metricsOfProcess(): Registry {
  if (processMetrics === undefined) {
    processMetrics = new Registry();
    collectDefaultMetrics({ register: processMetrics });
  }
  return processMetrics;
}

/** `hub` is asked when the page is; the rest is counted as it happens. */
export function createMetrics(hub: () => Subject | null, strangers: () => number): HubMetrics {
  const registry = new Registry();
  const registers = [registry];
  const ofProcess = metricsOfProcess();
  const rounds = new Counter({ name: 'tributary_rounds_total', help: 'Rounds closed.', registers });
  const updates = new Counter({
    name: 'tributary_updates_total',
    help: 'Updates that counted or were refused.',
    labelNames: ['outcome'],
    registers,
  });
  const bytes = new Counter({
    name: 'tributary_bytes_total',
    help: 'Sealed bytes of closed rounds, from the sites (up) and to them (down).',
    labelNames: ['direction'],
    registers,
  });
  const seconds = new Histogram({
    name: 'tributary_round_seconds',
    help: 'Seconds of hub uptime that rounds took.',
    buckets: [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400],
    registers,
  });
  const phases = new Counter({
    name: 'tributary_phase_seconds_total',
    help: 'Seconds that rounds have spent in a phase.',
    labelNames: ['phase'],
    registers,
  });
  const refusals = new Counter({
    name: 'tributary_refused_connections_total',
    help: 'Connections refused, by reason.',
    labelNames: ['code'],
    registers,
  });
  const loss = new Gauge({
    name: 'tributary_round_loss',
    help: 'Loss of the last closed round.',
    labelNames: ['run'],
    registers,
  });
  new Gauge({
    name: 'tributary_runs',
    help: 'Runs by state.',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const { state } of hub()?.runs.runs() ?? []) this.inc({ state });
    },
  });
  new Gauge({
    name: 'tributary_sites',
    help: 'Members, and those of them that are connected.',
    labelNames: ['state'],
    registers,
    collect() {
      const present = hub();
      const members = present?.members.all().filter(({ revoked }) => revoked === null) ?? [];
      const connected = members.filter(({ site }) => present?.outbox.presence(site).connected);
      this.set({ state: 'member' }, members.length);
      this.set({ state: 'connected' }, connected.length);
    },
  });
  new Gauge({
    name: 'tributary_unauthenticated_connections',
    help: 'Connections that have not proven who they are.',
    registers,
    collect() {
      this.set(strangers());
    },
  });
  return {
    see: (event) => {
      if (event.type === 'update') updates.inc({ outcome: 'counted' });
      if (event.type === 'refused') updates.inc({ outcome: 'refused' });
      if (event.type !== 'round') return;
      rounds.inc();
      seconds.observe(event.seconds);
      for (const [phase, spent] of Object.entries(event.phases)) phases.inc({ phase }, spent);
      bytes.inc({ direction: 'up' }, event.bytesUp);
      bytes.inc({ direction: 'down' }, event.bytesDown);
      loss.set({ run: event.run }, event.loss);
    },
    seeRefused: (code) => refusals.inc({ code }),
    render: async () => ({
      text: await Registry.merge([registry, ofProcess]).metrics(),
      type: registry.contentType,
    }),
  };
}
