/** @file What a hub shows of itself: a page that says it lives, its figures, events to a webhook. */

import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import perfHooks from 'node:perf_hooks';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { createMetrics } from '../../core/hub/metrics.ts';
import type { HubMetrics } from '../../core/hub/metrics.ts';
import { signatureOf } from '../../core/hub/webhook.ts';
import { cleanUp, createFederation, joinSite, smallPlan } from '../helpers/federation.ts';
import { until } from '../helpers/until.ts';

const closing: (() => void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await cleanUp();
});

it('answers /healthz to everyone and /metrics to those who know the token', async () => {
  const federation = await createFederation();
  const at = (path: string): string => federation.hub.url.replace('ws:', 'http:') + path;
  await joinSite(federation, 'north');
  await joinSite(federation, 'south');
  await federation.propose(smallPlan({ rounds: 2 }));
  await federation.event('ended');

  const health = await fetch(at('/healthz'));
  expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
  expect((await fetch(at('/'))).status).toBe(426);
  expect((await fetch(at('/metrics'))).status).toBe(401);
  expect((await fetch(at('/metrics'), { headers: { authorization: 'Bearer guess' } })).status).toBe(401);

  const file = join(federation.folder, 'metrics.token');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const authorization = `Bearer ${readFileSync(file, 'utf8').trim()}`;
  const page = await (await fetch(at('/metrics'), { headers: { authorization } })).text();
  expect(page).toContain('tributary_rounds_total 2');
  expect(page).toContain('tributary_updates_total{outcome="counted"} 4');
  expect(page).toContain('tributary_sites{state="connected"} 2');
  expect(page).toContain('tributary_runs{state="completed"} 1');
  expect(page).toContain('tributary_phase_seconds_total{phase="collecting"}');
  expect(page).toContain('process_resident_memory_bytes');

  const { history } = await federation.status();
  for (const { seconds, phases } of history) {
    expect(Object.keys(phases).sort()).toEqual(['closing', 'collecting']);
    expect(phases.closing + phases.collecting).toBeCloseTo(seconds, 3);
  }
});

it('watches the process no more often for a hub that was opened after others', async () => {
  const open = (): HubMetrics =>
    createMetrics(
      () => null,
      () => 0,
    );
  const first = open();
  const watches = vi.spyOn(perfHooks, 'monitorEventLoopDelay');
  const observers = vi.spyOn(perfHooks.PerformanceObserver.prototype, 'observe');
  closing.push(() => vi.restoreAllMocks());
  const second = open();
  expect(watches).not.toHaveBeenCalled();
  expect(observers).not.toHaveBeenCalled();
  first.seeRefused('wire.version');
  const pages = await Promise.all([first.render(), second.render()]);
  for (const { text } of pages) expect(text).toContain('nodejs_eventloop_lag_seconds');
  expect(pages[0].text).toContain('tributary_refused_connections_total{code="wire.version"} 1');
  expect(pages[1].text).not.toContain('wire.version');
});

it('tells a webhook of every event in order, signed, again when it does not answer, and never waits for it', async () => {
  const bodies: { id: number; federation: string; event: { type: string } }[] = [];
  const failures: number[] = [];
  const shape = z.object({
    id: z.number(),
    federation: z.string(),
    event: z.looseObject({ type: z.string() }),
  });
  let secret = '';
  const receiver = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      const [, time, signature] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['tributary-signature'])) ?? [];
      expect(signature).toBe(signatureOf(secret, Number(time), body));
      if (failures.length === 0) {
        failures.push(1);
        response.writeHead(503).end();
        return;
      }
      bodies.push(shape.parse(JSON.parse(body)));
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  closing.push(() => receiver.close());
  const { port } = receiver.address() as AddressInfo;

  const federation = await createFederation({ webhook: `http://127.0.0.1:${port}/events` });
  secret = readFileSync(join(federation.folder, 'webhook.secret'), 'utf8').trim();
  await joinSite(federation, 'north');
  await joinSite(federation, 'south');
  await federation.propose(smallPlan({ rounds: 1 }));
  await federation.event('ended');
  await until(() => expect(bodies.length).toBe(federation.events.length));
  expect(failures).toHaveLength(1);
  expect(bodies.map(({ event }) => event.type)).toEqual(federation.events.map(({ type }) => type));
  expect(bodies.map(({ id }) => id)).toEqual(bodies.map((_, at) => at + 1));
  expect(bodies.every(({ federation: name }) => name === 'clinics')).toBe(true);
});
