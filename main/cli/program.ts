/** @file The program `tributary`: its commands, and what wrong usage prints. */

import { Command, CommanderError } from 'commander';
import { TributaryError } from '../../core/errors.ts';
import { report } from './command.ts';
import { registerNamed } from './loading.ts';
import { openOutput } from './output.ts';
import { VERSION } from '../version.ts';

/** Every file under `commands/` registers its own. */
const files = {
  demo: () => import('./commands/demo.ts'),
  train: () => import('./commands/train.ts'),
  generate: () => import('./commands/generate.ts'),
  evaluate: () => import('./commands/evaluate.ts'),
  export: () => import('./commands/export.ts'),
  hub: () => import('./commands/hub.ts'),
  simulate: () => import('./commands/simulate.ts'),
  site: () => import('./commands/site.ts'),
  models: () => import('./commands/models.ts'),
  tokenize: () => import('./commands/tokenize.ts'),
  audit: () => import('./commands/audit.ts'),
  bench: () => import('./commands/bench.ts'),
  doctor: () => import('./commands/doctor.ts'),
};

/** Runs one command line; `words` come without the program's own name. Sets the exit status. */
export async function runCommandLine(words: readonly string[]): Promise<void> {
  const program = new Command('tributary')
    .description('Federated fine-tuning of language models for institutions that may not share their data.')
    .version(VERSION)
    .option('--json', 'print JSON, one object a line')
    .exitOverride()
    .showSuggestionAfterError()
    // The frame prints errors itself, in the one form all errors have.
    .configureOutput({ outputError: () => undefined });
  await registerNamed(program, files, words);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return;
    const json = words.includes('--json');
    const isHelp = thrown.code === 'commander.help'; // printed already, for want of a command
    if (isHelp && !json) {
      process.exitCode = 2;
      return;
    }
    const message = isHelp ? 'No command is named.' : thrown.message.replace(/^error: /, '');
    report(openOutput(json), new TributaryError('usage.invalid', upperFirst(message.replaceAll('\n', ' '))));
  }
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
