/** @file The one frame around every command: checked options, output, interruption, errors and exit status. */

import type { Command } from 'commander';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../../core/errors.ts';
import { openOutput } from './output.ts';
import type { Output } from './output.ts';
import { startProgress } from './progress.ts';
import type { Progress } from './progress.ts';

export interface CommandContext {
  readonly output: Output;
  /**
   * Aborted at the first SIGINT or SIGTERM, the second stops the process. A command that never calls this is
   * stopped by the first.
   */
  readonly interruption: () => AbortSignal;
  /** A progress display that is silent with `--json`. */
  readonly progress: (label: string) => Progress;
}

/**
 * Makes a handler into a commander action. Options and positional arguments (under their names, in camel case)
 * are checked by `schema` together; what the handler throws is printed and becomes the exit status.
 */
export function runs<Schema extends z.ZodType>(
  schema: Schema,
  handler: (input: z.output<Schema>, context: CommandContext) => Promise<void> | void,
): (this: Command, ...parts: unknown[]) => Promise<void> {
  return async function (this: Command, ...parts) {
    const { json, ...options } = this.optsWithGlobals<Record<string, unknown>>();
    const positional = this.registeredArguments.map((argument, index): [string, unknown] => [
      camelCase(argument.name()),
      parts[index],
    ]);
    const output = openOutput(json === true);
    const signals = watchSignals();
    try {
      const input = parseInput(schema, options, Object.fromEntries(positional));
      await handler(input, {
        output,
        interruption: signals.watch,
        progress: (label) => startProgress(label, { silent: output.json }),
      });
    } catch (thrown) {
      report(output, thrown);
    } finally {
      signals.stop();
    }
  };
}

/** Prints an error and sets the exit status it asks for. */
export function report(output: Output, thrown: unknown): void {
  const error = toTributaryError(thrown);
  output.error(error);
  if (error.code === 'internal.unexpected' && process.env.TRIBUTARY_DEBUG) console.error(thrown);
  process.exitCode = error.exitStatus;
}

/** A whole number given as text. */
export const wholeNumber = (minimum: number) => z.coerce.number().int().min(minimum);

function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  options: Readonly<Record<string, unknown>>,
  positional: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const input = { ...options, ...positional };
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = String(issue.path[0]);
  const words = field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const name = Object.hasOwn(positional, field) ? words : `--${words}`;
  const found = `The value “${String(input[field])}” of ${name} is not valid`;
  throw new TributaryError('usage.invalid', `${found}: ${expectation(issue)}`);
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected a ${issue.expected === 'int' ? 'whole number' : issue.expected}`;
    case 'too_small':
      return `expected ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `expected ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_value':
      return `expected ${issue.values.join(', ')}`;
    default:
      return issue.message;
  }
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function watchSignals(): { watch: () => AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    controller.abort(new TributaryError('training.stopped', 'The command was interrupted.'));
  };
  const stop = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  return {
    watch: () => {
      stop();
      process.on('SIGINT', onSignal);
      process.on('SIGTERM', onSignal);
      return controller.signal;
    },
    stop,
  };
}
