/** @file A training as commands run it: its options, its progress, what it says in the end. */

import type { Command } from 'commander';
import { z } from 'zod';
import type { Costs } from '../../core/engine/profile.ts';
import { makeWritableFolder } from '../../core/files.ts';
import type { LoraConfiguration } from '../../core/model/lora.ts';
import { formatBytes } from '../../core/sizes.ts';
import type { CheckpointOptions } from '../../core/training/checkpoints.ts';
import type { TrainerProcess } from '../../core/training/client.ts';
import { fullTrainingBytes } from '../../core/training/full-weights.ts';
import { OPTIMIZER_NAMES } from '../../core/training/optimizers/table.ts';
import type { Calls } from '../../core/training/protocol.ts';
import { trainWithRestarts } from '../../core/training/restart.ts';
import type { StepReport, TrainRequest, TrainResult } from '../../core/training/requests.ts';
import { wholeNumber } from './command.ts';
import type { CommandContext } from './command.ts';
import type { Output } from './output.ts';
import {
  announceDevice,
  engineOptions,
  memoryOptions,
  peakMemory,
  template,
  withEngineOptions,
  withMemoryOptions,
} from './training.ts';
import type { EngineOptions } from './training.ts';

const positive = z.coerce.number().positive();

/** 0, 1, 2, 3 and 7 of `0-3,7`. */
function layerNumbers(text: string): number[] {
  const layers = text.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  });
  return [...new Set(layers)].sort((a, b) => a - b);
}

/** Options that shape the training itself, shared with `bench train`. */
export const trainingOptions = engineOptions.extend(memoryOptions.shape).extend({
  steps: wholeNumber(1),
  batch: wholeNumber(1),
  microBatch: wholeNumber(1).optional(),
  maxLength: wholeNumber(8),
  rank: wholeNumber(1),
  alpha: positive,
  targets: z
    .string()
    .transform((text): LoraConfiguration['targets'] => (text === 'all-linear' ? text : text.split(','))),
  layers: z
    .string()
    .regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, 'expected numbers and ranges such as 0-3,7')
    .transform(layerNumbers)
    .optional(),
  rsLora: z.boolean().default(false),
  dropout: z.coerce.number().min(0).lt(1),
  trainable: z.enum(['both', 'A', 'B']),
  lr: positive,
  weightDecay: z.coerce.number().min(0),
  optimizer: z.enum(OPTIMIZER_NAMES),
  momentum: z.coerce.number().min(0).lt(1),
  nesterov: z.boolean().default(false),
  maxGradientNorm: positive,
  template,
  seed: wholeNumber(0),
});
export type TrainingOptions = z.output<typeof trainingOptions>;

/** Declares the options of {@link trainingOptions}. */
export function withTrainingOptions(command: Command): Command {
  return withMemoryOptions(withEngineOptions(command))
    .option('--steps <number>', 'optimizer steps', '20')
    .option('--batch <number>', 'examples in a step', '4')
    .option('--micro-batch <number>', 'examples computed at once; the whole step without it')
    .option('--max-length <tokens>', 'longest example; longer ones are cut', '512')
    .option('--rank <number>', 'rank of the LoRA matrices', '8')
    .option('--alpha <number>', 'LoRA alpha; updates are scaled by alpha / rank', '16')
    .option('--targets <names>', 'linears with an adapter, by comma, or all-linear', 'all-linear')
    .option('--layers <numbers>', 'layers with an adapter, such as 0-3,7; all without it')
    .option('--rs-lora', 'scale updates by alpha / √rank (rank-stabilised LoRA)')
    .option('--dropout <rate>', "share of the adapter's inputs that each step leaves out", '0')
    .option('--trainable <matrices>', 'both, or A or B alone: B alone is FFA-LoRA', 'both')
    .option('--lr <number>', 'learning rate, constant', '5e-4')
    .option('--weight-decay <number>', 'weight decay of the optimizer', '0')
    .option('--optimizer <name>', OPTIMIZER_NAMES.join(' or '), 'adamw')
    .option('--momentum <number>', 'momentum of sgd', '0.9')
    .option('--nesterov', 'let sgd look ahead along its momentum')
    .option('--max-gradient-norm <number>', 'gradients are scaled down to this global norm', '1')
    .option('--template <name>', 'chat, alpaca or vicuna', 'chat')
    .option('--seed <number>', 'seed of the adapter and of the order of examples', '0');
}

/**
 * Trains with progress and returns the fields of the result; `start` is an adapter to go on from, `reference` one that
 * pairs are compared with.
 */
export async function trainAndReport(
  work: {
    readonly input: TrainingOptions;
    readonly data: Pick<TrainRequest, 'examples' | 'tokens' | 'objective' | 'dpo'>;
    readonly start: { folder: string } | null;
    readonly reference?: { folder: string } | null;
    readonly out: string | undefined;
    readonly checkpoints?: CheckpointOptions;
    /** Trains all weights instead of an adapter. */
    readonly full?: boolean;
    /** An empty folder for records; what took how long is then part of the result. */
    readonly profile?: string;
  },
  { output, progress, interruption }: CommandContext,
): Promise<Record<string, unknown> & { readonly costs?: Costs }> {
  const { input, data, out, checkpoints, full = false, profile } = work;
  const trains = full ? ('weights' as const) : ('adapter' as const);
  const interrupted = interruption();
  if (out !== undefined) await makeWritableFolder(out);
  let secondsToFirstStep = 0;
  const bar = progress('Training');
  const { trainer, opened, trained } = await trainWithRestarts(
    {
      start: async (trainer) => {
        const opened = await trainer.call('open', { ...engineOf(input), trains, profile });
        if (secondsToFirstStep === 0) announce(output, work, opened);
        if (!full) await putAdapter(trainer, work);
        return opened;
      },
      request: { ...requestOf(input), ...data, checkpoints },
    },
    {
      [checkpoints ? 'finish' : 'signal']: interrupted,
      report: (step) => {
        secondsToFirstStep ||= performance.now() / 1000;
        output.event('step', stepFields(step));
        const accuracy = step.preference && `, accuracy ${step.preference.accuracy.toFixed(2)}`;
        for (const note of step.notes ?? []) {
          output.event('note', { step: step.step, text: note });
          output.line(note);
        }
        bar.update(step.step, step.steps, `loss ${step.loss.toFixed(4)}${accuracy ?? ''}`);
      },
      notice: ({ event, message, step }) => {
        output.event(event, { message, step });
        bar.note(message);
      },
    },
  );
  try {
    if (out !== undefined) await trainer.call(full ? 'saveModel' : 'saveAdapter', { folder: out });
    const peakRssBytes = await peakMemory(trainer);
    const tokensPerSecond = medianSpeed(trained);
    bar.finish(
      `Loss ${trained.steps[0].loss.toFixed(4)} → ${trained.steps.at(-1)?.loss.toFixed(4)} in ${trained.steps.length} ` +
        `steps, ${tokensPerSecond.toFixed(0)} tokens/s, ${formatBytes(peakRssBytes)} at most (${opened.precision}, ${opened.device}).`,
    );
    if (trained.skipped > 0)
      output.line(`Left out, for their answers lie beyond the longest length: ${trained.skipped}.`);
    if (out !== undefined) output.line(`The ${full ? 'model' : 'adapter'} lies in ${out}.`);
    return {
      model: opened.identity,
      steps: trained.steps.map(stepFields),
      tokensPerSecond,
      tokensPerSecondBest: Math.max(...trained.steps.map(({ tokens, seconds }) => tokens / seconds)),
      tokens: trained.tokens,
      supervisedTokens: trained.supervisedTokens,
      paddingShare: trained.paddingShare,
      skipped: trained.skipped,
      peakRssBytes,
      precision: opened.precision,
      device: opened.device,
      secondsToFirstStep,
      ...(profile !== undefined && { costs: await trainer.call('costs', null) }),
      ...(out !== undefined && (full ? { folder: out } : { adapter: out })),
    };
  } finally {
    await trainer.close();
  }
}

/** Says where it is computed, and of all weights how much memory they take. */
function announce(
  output: Output,
  { input, full = false }: { readonly input: TrainingOptions; readonly full?: boolean },
  opened: Calls['open']['answer'],
): void {
  announceDevice(output, input.device, opened);
  if (!full) return;
  const bytes = formatBytes(fullTrainingBytes(opened.identity.parameters));
  const what = `All ${opened.identity.parameters} parameters are trained`;
  output.line(`${what}: ${bytes} for weights, gradients and moments, and what a step takes besides.`);
}

/** Puts the adapter that the training starts from on the model, and what pairs are compared with beside it. */
async function putAdapter(
  trainer: TrainerProcess,
  {
    input,
    start,
    reference,
  }: {
    readonly input: TrainingOptions;
    readonly start: { folder: string } | null;
    readonly reference?: { folder: string } | null;
  },
): Promise<void> {
  if (start) await trainer.call('loadAdapter', start);
  else await trainer.call('startAdapter', { configuration: adapterOf(input), seed: input.seed });
  if (reference) await trainer.call('loadReference', reference);
}

/** What is told of a step; of pairs also the accuracy and the margin of the rewards. */
function stepFields({ step, loss, gradientNorm, preference }: StepReport): Record<string, number> {
  const { accuracy, margin } = preference ?? {};
  return {
    step,
    loss,
    gradNorm: gradientNorm,
    ...(accuracy !== undefined && margin !== undefined && { accuracy, margin }),
  };
}

/** Real tokens a second of the median step; the first step, which opens the session, counts only when alone. */
function medianSpeed({ steps }: TrainResult): number {
  const speeds = (steps.length > 1 ? steps.slice(1) : steps).map(({ tokens, seconds }) => tokens / seconds);
  return speeds.sort((a, b) => a - b)[Math.floor(speeds.length / 2)];
}

function adapterOf({ rank, alpha, targets, layers, rsLora, dropout }: TrainingOptions): LoraConfiguration {
  return {
    rank,
    alpha,
    targets,
    ...(layers && { layers }),
    ...(rsLora && { rankStabilized: true }),
    ...(dropout > 0 && { dropout }),
  };
}

function engineOf(input: TrainingOptions): EngineOptions & z.output<typeof memoryOptions> {
  const { model, precision, device, threads, recompute, memoryLimit } = input;
  return { model, precision, device, threads, recompute, memoryLimit };
}

function requestOf(input: TrainingOptions): Omit<TrainRequest, 'examples'> {
  return {
    template: input.template,
    maxLength: input.maxLength,
    batchSize: input.batch,
    microBatchSize: input.microBatch,
    steps: input.steps,
    learningRate: input.lr,
    weightDecay: input.weightDecay,
    optimizer:
      input.optimizer === 'sgd'
        ? { name: 'sgd', momentum: input.momentum, nesterov: input.nesterov }
        : { name: input.optimizer },
    maxGradientNorm: input.maxGradientNorm,
    trainable: input.trainable,
    seedParts: [input.seed],
  };
}
