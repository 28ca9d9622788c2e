import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '../../core/simulation/reports/crc32c.ts';
import { eventFile } from '../../core/simulation/reports/tensorboard.ts';
import { writeReports } from '../../core/simulation/reports/write.ts';
import type { Combination } from '../../core/simulation/sweep.ts';

describe('CRC-32C', () => {
  // RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms.
  it.each([
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, byte) => byte)), 0x46dd794e],
    [Buffer.from('123456789'), 0xe3069283],
  ])('of %o', (bytes, expected) => expect(crc32c(bytes)).toBe(expected));

  it('is masked as TFRecord files have it', () => {
    // The first 12 bytes of every event file whose first record has 24 bytes, as TensorFlow writes them.
    const length = Buffer.from('1800000000000000', 'hex');
    const masked = Buffer.alloc(4);
    masked.writeUInt32LE(maskedCrc32c(length));
    expect(masked.toString('hex')).toBe('a37f4b22');
  });
});

/** Records of an event file, their checksums checked, read without the writer's code. */
function records(file: Uint8Array): Buffer[] {
  const bytes = Buffer.from(file);
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    found.push(data);
    at += 16 + length;
  }
  return found;
}

/** The fields of a message by number; enough for messages whose lengths and numbers are below 128. */
function fields(message: Buffer): Record<number, Buffer | number> {
  const found: Record<number, Buffer | number> = {};
  for (let at = 0; at < message.length;) {
    const [field, type] = [message[at] >> 3, message[at] & 7];
    at += 1;
    if (type === 0) found[field] = message[at++];
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : message[at++];
      found[field] = message.subarray(at, (at += length));
    }
  }
  return found;
}

it('an event file holds the version and then each scalar', () => {
  const file = eventFile(
    [
      { tag: 'train/loss', step: 1, value: 2.5 },
      { tag: 'train/loss', step: 2, value: 1.25 },
    ],
    1_700_000_000.5,
  );
  const [version, ...events] = records(file).map(fields);
  expect((version[1] as Buffer).readDoubleLE()).toBe(1_700_000_000.5);
  expect(String(version[3])).toBe('brain.Event:2');
  const read = events.map((event) => {
    const value = fields(fields(event[5] as Buffer)[1] as Buffer);
    return [event[2], String(value[1]), (value[2] as Buffer).readFloatLE()];
  });
  expect(read).toEqual([
    [1, 'train/loss', 2.5],
    [2, 'train/loss', 1.25],
  ]);
});

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-reports-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const outcome = { loss: 2, weight: 2, answerLoss: 2, answerTokens: 2 };
const combinations: Combination[] = [
  {
    seed: 3,
    model: 'fedavg',
    adapter: null,
    kept: false,
    result: {
      rounds: [
        { round: 0, loss: 1.5, bytesUp: 10, bytesDown: 20, seconds: 0.5 },
        { round: 1, loss: 1.25, bytesUp: 10, bytesDown: 20, seconds: 0.25 },
      ],
      cohortRounds: {},
      members: [[{ ...outcome, hit: 1 }]],
      seconds: 4,
    },
  },
  {
    seed: 3,
    model: 'say, "mine"',
    adapter: null,
    kept: false,
    result: { rounds: [], cohortRounds: {}, members: [[outcome]], seconds: 1 },
  },
];

it('writes tables and one run of TensorBoard for every combination', async () => {
  const reports = await writeReports(folder, { combinations, federations: [] }, () => 1_700_000_000_000);
  expect(readFileSync(reports.rounds, 'utf8')).toBe(
    'seed,model,round,loss,accuracy,margin,bytes_up,bytes_down,seconds\r\n' +
      '3,fedavg,1,1.5,,,10,20,0.5\r\n3,fedavg,2,1.25,,,10,20,0.25\r\n',
  );
  expect(readFileSync(reports.scores, 'utf8')).toBe(
    'seed,model,loss,loss_low,loss_high,perplexity,accuracy,accuracy_low,accuracy_high,seconds\r\n' +
      `3,fedavg,1,1,1,${Math.E},1,1,1,4\r\n3,"say, ""mine""",1,1,1,${Math.E},,,,1\r\n`,
  );
  const runs = readdirSync(reports.tensorboard).sort();
  expect(runs).toEqual(['fedavg-seed-3', 'say, "mine"-seed-3']);
  const [name] = readdirSync(join(reports.tensorboard, runs[0]));
  expect(name).toBe('events.out.tfevents.1700000000.tributary');
  // The version, a loss for each of two rounds, and loss, perplexity and accuracy of held-out rows.
  expect(records(readFileSync(join(reports.tensorboard, runs[0], name)))).toHaveLength(1 + 2 + 3);
});

const python = process.env.TRIBUTARY_TENSORBOARD_PYTHON;
it.skipIf(python === undefined)('TensorBoard’s own reader finds every scalar', async () => {
  const reports = await writeReports(folder, { combinations, federations: [] });
  const script = [
    'import sys, json',
    'from tensorboard.backend.event_processing.event_accumulator import EventAccumulator',
    'events = EventAccumulator(sys.argv[1]); events.Reload()',
    'print(json.dumps({t: [[s.step, s.value] for s in events.Scalars(t)] for t in events.Tags()["scalars"]}))',
  ].join('\n');
  const run = join(reports.tensorboard, 'fedavg-seed-3');
  const output = execFileSync(python ?? 'python3', ['-c', script, run], { encoding: 'utf8' });
  expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toEqual({
    'train/loss': [
      [1, 1.5],
      [2, 1.25],
    ],
    'heldout/loss': [[2, 1]],
    'heldout/perplexity': [[2, Math.fround(Math.E)]],
    'heldout/accuracy': [[2, 1]],
  });
});
