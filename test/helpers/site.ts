/** @file A site against a scripted hub: real sockets and real files, a trainer that only pretends. */

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import type { BlobStore } from '../../core/federation/blobs.ts';
import { encodeTensors } from '../../core/federation/codec.ts';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import type { Message, MessageOf, MessageType } from '../../core/federation/messages.ts';
import { encodePlan, pinPlan, planHash, readPlan } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import { learningRateOfRound } from '../../core/federation/schedule.ts';
import type { BlobReference } from '../../core/federation/shapes.ts';
import { serveTransfers } from '../../core/federation/transfer.ts';
import type { Transfers } from '../../core/federation/transfer.ts';
import type { Identity } from '../../core/federation/identity.ts';
import type { ListenerOptions } from '../../core/hub/listener.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { generateIdentity, publicIdentity } from '../../core/federation/identity.ts';
import { askSite } from '../../core/site/ask.ts';
import type { FederationContext, SiteContext } from '../../core/site/context.ts';
import { startSite } from '../../core/site/site.ts';
import type { Site, SiteOptions } from '../../core/site/site.ts';
import type { SiteStore } from '../../core/site/store.ts';
import type { Membership } from '../../core/site/tables.ts';
import type { HeldOutRequest, RoundRequest, RoundTrainer } from '../../core/site/trainer.ts';
import { openTestHub } from './hub.ts';
import type { TestHub } from './hub.ts';
import { until } from './until.ts';

export const SOFTWARE = 'tributary test';
const NAME = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';

export function adapterOf(values: readonly number[]): NamedTensors {
  return new Map([[NAME, { shape: [values.length], data: Float32Array.from(values) }]]);
}

/** A plan for tests, with changes such as `{ federation: { rounds: 3 } }`. */
export function makePlan(changes: Record<string, unknown> = {}): Plan {
  const text = JSON.stringify({ name: 'clinics', model: 'tiny', seed: 7, ...changes });
  return pinPlan(readPlan(text), { id: 'tiny', sha256: 'ab'.repeat(32) });
}

/** A trainer whose result depends on nothing but its request. */
export interface FakeTrainer extends RoundTrainer {
  readonly requests: RoundRequest[];
  readonly evaluations: HeldOutRequest[];
  /** While set, training waits at its first step. */
  hold: boolean;
  release(): void;
  /** The next training fails with this. */
  failure: Error | null;
}

export function makeTrainer(): FakeTrainer {
  let wake: (() => void)[] = [];
  const trainer: FakeTrainer = {
    requests: [],
    evaluations: [],
    hold: false,
    failure: null,
    release: () => {
      trainer.hold = false;
      for (const resume of wake.splice(0)) resume();
      wake = [];
    },
    train: async (request) => {
      // The numbers last until the training ends.
      const numbers = { base: request.base, controls: request.controls };
      trainer.requests.push({ ...request, ...structuredClone(numbers) });
      request.onStep({ step: 1, steps: 2, loss: 3 });
      if (trainer.hold) {
        await new Promise<void>((resolve, reject) => {
          wake.push(resolve);
          request.signal.addEventListener('abort', () => reject(new Error('stopped')));
          request.pausing?.finish.addEventListener('abort', () => reject(new Error('paused')));
        });
      }
      if (trainer.failure !== null) {
        const { failure } = trainer;
        trainer.failure = null;
        throw failure;
      }
      request.onStep({ step: 2, steps: 2, loss: 2 });
      const digest = createHash('sha256').update(JSON.stringify(request.seedParts)).digest();
      const adapter = new Map(
        [...request.base].map(([name, { shape, data }]) => [
          name,
          { shape, data: data.map((value, index) => value + digest[index % 32] / 256) },
        ]),
      );
      const preference =
        request.plan.objective === 'dpo' ? { accuracy: 0.75, margin: request.round + 0.5 } : undefined;
      const controls = request.controls && controlsAfter(request, adapter);
      return {
        adapter,
        ...(controls && { controls }),
        loss: 2,
        examples: request.examples.length,
        supervisedTokens: 99,
        preference,
      };
    },
    evaluate: (request) => {
      trainer.evaluations.push(request);
      const [{ data }] = request.adapter.values();
      return Promise.resolve({ loss: 2 - data[0] / 30, examples: request.examples.length });
    },
    close: () => Promise.resolve(),
  };
  return trainer;
}

/** Option II of SCAFFOLD for what a fake training has made of the base. */
function controlsAfter({ base, controls, learningRate }: RoundRequest, adapter: NamedTensors) {
  const after = (name: string, index: number): number => {
    const moved = (base.get(name)?.data[index] ?? 0) - (adapter.get(name)?.data[index] ?? 0);
    const [hub, site] = [controls?.hub.get(name)?.data[index], controls?.site.get(name)?.data[index]];
    return moved / (2 * learningRate) - ((hub ?? NaN) - (site ?? NaN));
  };
  const each = (value: (name: string, index: number) => number): NamedTensors =>
    new Map(
      [...base].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((_, index) => value(name, index)) },
      ]),
    );
  const before = (name: string, index: number) => controls?.site.get(name)?.data[index] ?? NaN;
  return { site: each(after), change: each((name, index) => after(name, index) - before(name, index)) };
}

/** A folder of a site with rows in its vault, joined with the hub. */
export async function makeSiteFolder(hub: TestHub, folder: string, name = 'clinic-a'): Promise<void> {
  const invitation = encodeInvitation(hub.invite());
  await askSite({ folder, software: SOFTWARE }, 'join', { invitation, name });
  await importRows(folder, 12);
}

export async function importRows(folder: string, rows: number, as = 'notes'): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'rows.jsonl');
  const lines = Array.from({ length: rows }, (_, row) =>
    JSON.stringify({ question: `q${row}`, answer: `a${row}` }),
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
  await askSite({ folder, software: SOFTWARE }, 'import', { file, as });
}

/** Imports preference pairs. */
export async function importPairs(folder: string, rows: number, as = 'pairs'): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'pairs.jsonl');
  const lines = Array.from({ length: rows }, (_, row) =>
    JSON.stringify({ prompt: `p${row}`, chosen: `yes ${row}`, rejected: `no ${row}` }),
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
  await askSite({ folder, software: SOFTWARE }, 'import', { file, as });
}

export function start(
  folder: string,
  trainer: RoundTrainer,
  changes: Partial<SiteOptions> = {},
): Promise<Site> {
  const backoff = { firstSeconds: 0.02, capSeconds: 0.1 };
  return startSite({ folder, trainer, software: SOFTWARE, backoff, ...changes });
}

/** The first federation of a site. */
export function federationOf({ context }: { readonly context: SiteContext }): FederationContext {
  const [first] = context.federations.values();
  return first;
}

/** Has a site belong to a federation whose hub is nowhere. */
export function enterFederation(store: SiteStore, federation = 'clinics'): Membership {
  const hub = publicIdentity(generateIdentity());
  return store.transaction('join', () =>
    store.join({ federation, site: 'clinic-a', urls: ['ws://127.0.0.1:9'], ...hub, roster_version: 1 }),
  );
}

/** A hub that does nothing by itself but keeps blobs and records what a site says. */
export interface ScriptedHub extends TestHub {
  readonly blobs: BlobStore;
  readonly heard: Message[];
  /** By bulk socket, in the order of their arrival. */
  readonly transfers: Transfers[];
  send(message: Message): void;
  /** The n-th message of a type, as soon as it has come. */
  message<T extends MessageType>(type: T, count?: number): Promise<MessageOf<T>>;
  propose(plan: Plan, run?: string): MessageOf<'proposal'>;
  roundStart(plan: Plan, round: number, run?: string): Promise<MessageOf<'round-start'>>;
  publish(values: readonly number[]): Promise<BlobReference>;
  /** Ends both sockets of the site. */
  cut(): void;
}

export async function openScriptedHub(
  folder: string,
  changes: Partial<ListenerOptions> = {},
  identity?: Identity,
): Promise<ScriptedHub> {
  const blobs = await openBlobStore(join(folder, 'hub-blobs'));
  const heard: Message[] = [];
  const transfers: Transfers[] = [];
  const hub: TestHub = await openTestHub(
    {
      onControl: (peer) => {
        hub.control.push(peer);
        peer.channel.listen((message) => void heard.push(message));
      },
      onBulk: (peer) => {
        hub.bulk.push(peer);
        const { channel } = peer;
        transfers.push(
          serveTransfers({ channel, store: blobs, mayServe: () => true, acceptOffer: () => undefined }),
        );
      },
      ...changes,
    },
    identity,
  );
  const publish = (values: readonly number[]): Promise<BlobReference> =>
    blobs.put(encodeTensors(adapterOf(values)));
  return {
    ...hub,
    blobs,
    heard,
    transfers,
    publish,
    send: (message) => hub.control.at(-1)?.channel.send(message),
    message: async <T extends MessageType>(type: T, count = 1): Promise<MessageOf<T>> => {
      const found = (): Message[] => heard.filter((message) => message.type === type);
      await until(() => expect(found().length).toBeGreaterThanOrEqual(count));
      return found()[count - 1] as unknown as MessageOf<T>;
    },
    propose: (plan, run = 'clinics-1') => {
      const proposal: MessageOf<'proposal'> = {
        type: 'proposal',
        run,
        plan: encodePlan(plan),
        planHash: planHash(plan),
      };
      hub.control.at(-1)?.channel.send(proposal);
      return proposal;
    },
    roundStart: async (plan, round, run = 'clinics-1') => {
      const { rounds } = plan.federation;
      const start: MessageOf<'round-start'> = {
        type: 'round-start',
        run,
        round,
        rounds,
        learningRate: learningRateOfRound(plan.training, round, rounds),
        base: await publish([round, 1, 2, 3]),
        secondsLeft: 600,
      };
      hub.control.at(-1)?.channel.send(start);
      return start;
    },
    cut: () => {
      for (const peer of [...hub.control, ...hub.bulk]) peer.channel.close();
    },
  };
}
