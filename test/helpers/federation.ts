/** @file A hub in a temporary folder and scripted sites that talk to it over real sockets. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectToHub } from '../../core/site/connect.ts';
import { openBlobStore } from '../../core/federation/blobs.ts';
import type { BlobStore } from '../../core/federation/blobs.ts';
import type { Channel } from '../../core/federation/channel.ts';
import { encodeTensors, readTensors } from '../../core/federation/codec.ts';
import { generateIdentity, sign } from '../../core/federation/identity.ts';
import type { Identity } from '../../core/federation/identity.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import type { Message, MessageOf } from '../../core/federation/messages.ts';
import { readPlan } from '../../core/federation/plan.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import {
  approvalStatement,
  countersignStatement,
  updateStatement,
} from '../../core/federation/statements.ts';
import { serveTransfers } from '../../core/federation/transfer.ts';
import type { Transfers } from '../../core/federation/transfer.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub, HubOptions } from '../../core/hub/hub.ts';
import type { HubEvent } from '../../core/hub/context.ts';
import type { RunStatus } from '../../core/hub/status.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { Random } from '../../core/random.ts';
import { removeFolder } from './folders.ts';

/** The smallest model that has all seven linears. */
export const smallModel: ModelConfiguration = {
  modelType: 'llama',
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  attentionHeads: 2,
  keyValueHeads: 1,
  headSize: 4,
  vocabularySize: 16,
  maximumPositions: 4096,
  rmsNormEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  tiedEmbedding: true,
  attentionBias: false,
};
export const smallIdentity = { id: 'small', sha256: '5'.repeat(64) };

/** A plan of three rounds for two sites. */
export function smallPlan(federation: Record<string, unknown> = {}): PlanRequest {
  return readPlan(
    JSON.stringify({
      name: 'Small run',
      model: 'small',
      seed: 3,
      adapter: { rank: 2, alpha: 4 },
      federation: { rounds: 3, minSites: 2, deadline: '1h', ...federation },
    }),
  );
}

export interface TestFederation {
  readonly folder: string;
  readonly hub: Hub;
  readonly events: HubEvent[];
  /** Resolves with the first event, past or to come, that fits. */
  event<T extends HubEvent['type']>(
    type: T,
    fits?: (event: Extract<HubEvent, { type: T }>) => boolean,
  ): Promise<Extract<HubEvent, { type: T }>>;
  invite(site?: string): Promise<string>;
  propose(plan?: PlanRequest): Promise<{ run: string; planHash: string }>;
  status(): Promise<RunStatus>;
}

const cleanups: (() => unknown)[] = [];

/** To be called after each test. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-hub-'));
  cleanups.push(() => removeFolder(folder));
  return folder;
}

/** Makes a hub in a new folder and starts it. */
export async function createFederation(options: Partial<HubOptions> = {}): Promise<TestFederation> {
  const folder = temporaryFolder();
  await initHub({ folder, name: 'clinics' });
  return openFederation(folder, options);
}

/** Starts the hub that is in a folder. */
export async function openFederation(
  folder: string,
  options: Partial<HubOptions> = {},
): Promise<TestFederation> {
  const events: HubEvent[] = [];
  const waiting = new Set<() => void>();
  const hub = await startHub({
    heartbeatSeconds: 5,
    ...options,
    folder,
    onEvent: (event) => {
      events.push(event);
      for (const look of [...waiting]) look();
    },
  });
  cleanups.push(() => hub.stop());
  return {
    folder,
    hub,
    events,
    event: (type, fits = () => true) =>
      new Promise((resolve) => {
        const look = (): void => {
          for (const event of events) {
            const candidate = event as Extract<HubEvent, { type: typeof type }>;
            if (event.type !== type || !fits(candidate)) continue;
            waiting.delete(look);
            resolve(candidate);
            return;
          }
        };
        waiting.add(look);
        look();
      }),
    invite: async (site) => (await hub.ask('invite', { site })).invitation,
    propose: (plan = smallPlan()) =>
      hub.ask('propose', { plan, model: smallIdentity, configuration: smallModel }),
    status: async () => (await hub.ask('status', {})).runs[0],
  };
}

/** What a scripted site does; the defaults behave well. */
export interface Script {
  readonly examples?: number;
  /** Held-out loss that it tells of a round's aggregate. */
  readonly score?: (round: number) => number;
  readonly train?: (base: NamedTensors, start: MessageOf<'round-start'>) => NamedTensors;
  /** Called before the default reaction; returning false suppresses it. */
  readonly on?: (message: Message, site: FakeSite) => boolean | undefined | Promise<boolean | undefined>;
}

export interface FakeSite {
  readonly name: string;
  readonly identity: Identity;
  /** Everything the hub said on the control socket, over all connections. */
  readonly heard: Message[];
  readonly blobs: BlobStore;
  /** The control channel of the current connection. */
  control(): Channel;
  bulk(): Transfers;
  heardOf<T extends Message['type']>(
    type: T,
    fits?: (message: MessageOf<T>) => boolean,
  ): Promise<MessageOf<T>>;
  /** Connects as a member. */
  connect(): Promise<void>;
  /** Approves a run's plan. */
  approve(proposal: { run: string; planHash: string }): void;
  /** Cuts both connections. */
  drop(): void;
  /** Fetches and reads what a round starts from. */
  base(start: MessageOf<'round-start'>): Promise<NamedTensors>;
  /** Sends an update of the tensors, as an honest site would. */
  submit(start: MessageOf<'round-start'>, tensors: NamedTensors): Promise<MessageOf<'update'>>;
  /** The signed message for an update of the tensors, not sent yet. */
  update(
    start: MessageOf<'round-start'>,
    tensors: NamedTensors,
    changes?: { examples?: number },
  ): Promise<MessageOf<'update'>>;
}

/** What a site makes of a base: the same for the same site and round, whatever happened in between. */
export function trained(base: NamedTensors, site: string, round: number): NamedTensors {
  return new Map(
    [...base].map(([name, { shape, data }]) => {
      const random = new Random('test', site, round, name);
      return [name, { shape, data: data.map((value) => value + 0.01 * random.normal()) }];
    }),
  );
}

/** Joins with an invitation and connects. Keeps trying to come back until the test ends. */
export async function joinSite(
  federation: { invite: (site?: string) => Promise<string>; hub: { url: string } },
  name: string,
  script: Script = {},
): Promise<FakeSite> {
  const invitation = parseInvitation(await federation.invite(name));
  const identity = generateIdentity();
  const site = await createSite(
    name,
    identity,
    { urls: invitation.urls, hubX25519: invitation.hubX25519 },
    script,
  );
  await site.connectWith({ id: invitation.id, secret: invitation.secret, site: name });
  return site;
}

interface Address {
  readonly urls: readonly string[];
  readonly hubX25519: Uint8Array;
}

async function createSite(name: string, identity: Identity, address: Address, script: Script) {
  const blobs = await openBlobStore(temporaryFolder());
  const heard: Message[] = [];
  const waiting = new Set<() => void>();
  let control: Channel | undefined;
  let transfers: Transfers | undefined;
  let ended = false;
  let wanted = true;
  cleanups.push(() => {
    ended = true;
    control?.close();
  });

  function current<T>(value: T | undefined): T {
    if (value === undefined) throw new Error(`${name} is not connected.`);
    return value;
  }

  async function connectWith(join?: { id: Uint8Array; secret: Uint8Array; site: string }): Promise<void> {
    wanted = true;
    const options = { ...address, identity, software: 'test' };
    const first = await connectToHub({ ...options, role: 'control', join });
    const second = await connectToHub({ ...options, role: 'bulk' });
    control = first.channel;
    const bulk = second.channel;
    transfers = serveTransfers({ channel: bulk, store: blobs, mayServe: (hash) => blobs.has(hash) });
    const mine = control;
    mine.listen(hear);
    void mine.closed.then(async () => {
      bulk.close();
      while (!ended && wanted && control === mine) {
        try {
          await connectWith();
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
  }

  async function hear(message: Message): Promise<void> {
    heard.push(message);
    for (const look of [...waiting]) look();
    if ((await script.on?.(message, site)) === false) return;
    // In the background, as a real site does: the channel must stay responsive.
    void react(message).catch(() => undefined);
  }

  function approve({ run, planHash }: { run: string; planHash: string }): void {
    const signature = sign(identity.ed25519, approvalStatement({ run, planHash }));
    const examples = script.examples ?? 10;
    current(control).send({ type: 'approval', run, planHash, examples, signature });
  }

  async function react(message: Message): Promise<void> {
    switch (message.type) {
      case 'proposal':
        approve(message);
        return;
      case 'amendment':
        approve(message);
        return;
      case 'evaluate': {
        const { run, round } = message;
        const heldOutLoss = script.score?.(round) ?? 2 - 0.1 * round;
        const metrics = { heldOutLoss };
        current(control).send({ type: 'score', run, round, examples: 20, metrics, reason: '' });
        return;
      }
      case 'round-start': {
        const base = await site.base(message);
        const make = script.train ?? ((tensors, start) => trained(tensors, name, start.round));
        await submit(message, make(base, message));
        return;
      }
      case 'round-closed': {
        const { index, hash } = message.ledgerEntry;
        const signature = sign(identity.ed25519, countersignStatement({ index, hash }));
        current(control).send({ type: 'countersign', index, hash, signature });
        return;
      }
      default:
    }
  }

  async function update(
    start: MessageOf<'round-start'>,
    tensors: NamedTensors,
    { examples = script.examples ?? 10 }: { examples?: number } = {},
  ): Promise<MessageOf<'update'>> {
    const blob = await blobs.put(encodeTensors(tensors));
    const { run, round } = start;
    const statement = updateStatement({ run, round, hash: blob.hash, examples });
    return {
      type: 'update',
      run,
      round,
      blob,
      examples,
      loss: 2 - 0.1 * round,
      metrics: {},
      signature: sign(identity.ed25519, statement),
    };
  }

  async function submit(
    start: MessageOf<'round-start'>,
    tensors: NamedTensors,
  ): Promise<MessageOf<'update'>> {
    const message = await update(start, tensors);
    await current(transfers).offer(message.blob);
    current(control).send(message);
    return message;
  }

  const site: FakeSite & { connectWith: typeof connectWith } = {
    name,
    identity,
    heard,
    blobs,
    connectWith,
    control: () => current(control),
    bulk: () => current(transfers),
    connect: () => connectWith(),
    approve,
    heardOf: (type, fits = () => true) =>
      new Promise((resolve) => {
        const look = (): void => {
          for (const message of heard) {
            const candidate = message as unknown as MessageOf<typeof type>;
            if (message.type !== type || !fits(candidate)) continue;
            waiting.delete(look);
            resolve(candidate);
            return;
          }
        };
        waiting.add(look);
        look();
      }),
    drop() {
      wanted = false;
      control?.close();
    },
    submit,
    update,
    async base(start) {
      await current(transfers).fetch(start.base);
      return readTensors(blobs.path(start.base.hash));
    },
  };
  return site;
}
