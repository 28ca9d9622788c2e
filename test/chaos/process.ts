/**
 * @file A hub or a site as a process of its own whose training only pretends, for tests that kill it. The variable
 * TRIBUTARY_TEST_CRASH names a point and its passage, such as `close-round:after 2`; there SIGKILL ends the process.
 * Only this program reads it, the product does not.
 */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import { toTributaryError } from '../../core/errors.ts';
import { encodeTensors } from '../../core/federation/codec.ts';
import { writeFileAtomically } from '../../core/files.ts';
import { initHub, openHubFolder } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import { retireFormerKeys, rotateHubKeys } from '../../core/hub/rotation.ts';
import { createSessions } from '../../core/hub/sessions.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { Random } from '../../core/random.ts';
import { askSite } from '../../core/site/ask.ts';
import { startSite } from '../../core/site/site.ts';
import type { RoundRequest, RoundResult, RoundTrainer } from '../../core/site/trainer.ts';

const SOFTWARE = 'tributary chaos';
const [command, folder, ...words] = process.argv.slice(2);

function crashPoint(point: string): void {
  if (wanted?.point !== point) return;
  wanted.passages -= 1;
  if (wanted.passages === 0) process.kill(process.pid, 'SIGKILL');
}

const wanted = readCrash(process.env.TRIBUTARY_TEST_CRASH);

function readCrash(text: string | undefined): { readonly point: string; passages: number } | null {
  if (!text) return null;
  const [point, passages] = text.split(' ');
  return { point, passages: Number(passages) };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** The same site makes the same of a base in the same round, in whatever process. */
function pretend({ base, controls, seedParts, examples }: RoundRequest): RoundResult {
  const moved = (tensors: NamedTensors, purpose: string): NamedTensors =>
    new Map(
      [...tensors].map(([name, { shape, data }]) => {
        const random = new Random('chaos', ...seedParts, purpose, name);
        return [name, { shape, data: data.map((value) => value + 0.01 * random.normal()) }];
      }),
    );
  const trained = moved(base, 'adapter');
  const adapter = process.env.TRIBUTARY_TEST_GARBAGE ? poisoned(trained) : trained;
  const site = controls === null ? undefined : moved(controls.site, 'control');
  const change =
    controls &&
    site &&
    new Map(
      [...site].map(([name, { shape, data }]) => {
        const before = controls.site.get(name)?.data ?? [];
        return [name, { shape, data: data.map((value, index) => value - before[index]) }];
      }),
    );
  return {
    adapter,
    ...(site && change && { controls: { site, change } }),
    loss: 2 + adapter.size / 100,
    examples: examples.length,
    supervisedTokens: 99,
  };
}

function poisoned(tensors: NamedTensors): NamedTensors {
  const [[name, { shape, data }]] = tensors;
  return new Map(tensors).set(name, { shape, data: data.with(0, Infinity) });
}

const trainer: RoundTrainer = {
  train: async (request) => {
    request.onStep({ step: 1, steps: 2, loss: 3 });
    // A training without end, until the hub goes on without it.
    if (process.env.TRIBUTARY_TEST_HOLD === String(request.round)) {
      await new Promise((_, reject) => {
        const alive = setInterval(() => request.onStep({ step: 1, steps: 2, loss: 3 }), 200);
        request.signal.addEventListener('abort', () => {
          clearInterval(alive);
          reject(toTributaryError(request.signal.reason));
        });
      });
    }
    return pretend(request);
  },
  evaluate: ({ examples }) => Promise.resolve({ loss: 1, examples: examples.length }),
  close: () => Promise.resolve(),
};

async function runHub(): Promise<void> {
  const hub = await startHub({ folder, crashPoint, onEvent: print });
  process.on('SIGTERM', () => void hub.stop());
  await hub.stopped;
}

async function runSite(): Promise<void> {
  const site = await startSite({
    folder,
    trainer,
    software: SOFTWARE,
    crashPoint,
    backoff: { firstSeconds: 0.02, capSeconds: 0.2 },
    onStatus: (status) => print({ type: 'state', ...status }),
    saveAdapter: async (run, _plan, tensors) => {
      const hash = createHash('sha256').update(encodeTensors(tensors)).digest('hex');
      await writeFileAtomically(join(folder, `${run}.adapter`), hash);
    },
  });
  process.on('SIGTERM', () => void site.stop());
  await site.stopped;
}

/** Changes the keys of a hub that is not running, or has it answer to the keys before no more. */
async function rotateHub(change: typeof rotateHubKeys | typeof retireFormerKeys): Promise<void> {
  const quiet = { outbox: createSessions(() => 0), log: pino({ level: 'silent' }) };
  const hub = await openHubFolder({ folder, ...quiet, crashPoint });
  try {
    await change(hub);
  } finally {
    hub.store.close();
  }
}

/** One question to a site that is not running. */
async function ask(): Promise<void> {
  const [question, request] = words;
  const name = z.enum(['join', 'leave', 'approve', 'import']).parse(question);
  const options = { folder, software: SOFTWARE, crashPoint };
  print({ ...(await askSite(options, name, JSON.parse(request) as never)) });
}

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  init: () => initHub({ folder, name: words[0], crashPoint }),
  hub: runHub,
  site: runSite,
  ask,
  'rotate-hub': () => rotateHub(rotateHubKeys),
  'retire-keys': () => rotateHub(retireFormerKeys),
};
await commands[command]();
