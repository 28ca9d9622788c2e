/** @file What commands share that run a trainer: its options, its process, its end. */

import { Option, type Command } from 'commander';
import { z } from 'zod';
import { PRECISIONS } from '../../core/engine/precisions.ts';
import { DEVICES } from '../../core/engine/devices.ts';
import { RECOMPUTES } from '../../core/engine/graphs/recompute.ts';
import type { TrainerProcess } from '../../core/training/client.ts';
import type { Calls } from '../../core/training/protocol.ts';
import { TEMPLATE_NAMES } from '../../core/training/templates.ts';
import { wholeNumber } from './command.ts';
import type { Output } from './output.ts';

/** Options of the engine. */
export const engineOptions = z.object({
  model: z.string(),
  precision: z.enum(['auto', ...PRECISIONS]),
  device: z.enum(['auto', ...DEVICES]),
  threads: wholeNumber(1).optional(),
});
/** How much memory a training step may take. */
export const memoryOptions = z.object({
  recompute: z.enum(RECOMPUTES).optional(),
  memoryLimit: z
    .string()
    .regex(/^\d+(\.\d+)?\s*[kMGT]?B?$/, 'a size such as 900MB or 1.5GB')
    .transform(bytes)
    .optional(),
});
export type EngineOptions = z.output<typeof engineOptions>;

export const template = z.enum(TEMPLATE_NAMES);

/** Declares the options of {@link engineOptions}; the handler asks for the model where it can do without. */
export function withEngineOptions(command: Command, { needsModel = true } = {}): Command {
  const model = new Option(
    '--model <model>',
    'id in the catalogue, `tiny`, GGUF file or Hugging Face folder',
  );
  return command
    .addOption(model.makeOptionMandatory(needsModel))
    .option('--precision <name>', 'auto, f32, int8 or int4: how the frozen weights are computed with', 'auto')
    .option('--device <name>', `where to compute: auto, ${DEVICES.join(', ')}`, 'auto')
    .option('--threads <number>', 'threads of the engine; all cores without it');
}

/** Declares the options of {@link memoryOptions}. */
export function withMemoryOptions(command: Command): Command {
  return command
    .option(
      '--memory-limit <size>',
      'what the training process may take, such as 1.5GB; slower where it must be',
    )
    .option(
      '--recompute <name>',
      `${RECOMPUTES.join(', ')}: what the backward pass computes again; light on the CPU, or what the limit demands`,
    );
}

function bytes(size: string): number {
  const [, digits, unit] = /^([\d.]+)\s*([kMGT]?)/.exec(size) ?? [];
  return Math.floor(Number(digits) * 1000 ** ['', 'k', 'M', 'G', 'T'].indexOf(unit));
}

/** Largest memory so far of the training process and this one together, in bytes. */
export async function peakMemory(trainer: TrainerProcess): Promise<number> {
  return (await trainer.call('memory', null)) + process.resourceUsage().maxRSS * 1024;
}

/** Says where the model is computed with and why, unless it was asked for the CPU. */
export function announceDevice(
  output: Output,
  requested: EngineOptions['device'],
  { device, deviceReason }: Calls['open']['answer'],
): void {
  output.event('device', { requested, device, reason: deviceReason });
  if (!output.json && requested !== 'cpu') process.stderr.write(`${deviceReason}\n`);
}
