/** @file The program `tributary`: its commands, and what wrong usage prints. */

import { Command, CommanderError } from 'commander';
import { TributaryError } from '../../core/errors.ts';
import { register as registerAudit } from './commands/audit.ts';
import { register as registerBench } from './commands/bench.ts';
import { register as registerDemo } from './commands/demo.ts';
import { register as registerDoctor } from './commands/doctor.ts';
import { register as registerEvaluate } from './commands/evaluate.ts';
import { register as registerExport } from './commands/export.ts';
import { register as registerGenerate } from './commands/generate.ts';
import { register as registerHub } from './commands/hub.ts';
import { register as registerModels } from './commands/models.ts';
import { register as registerSimulate } from './commands/simulate.ts';
import { register as registerSite } from './commands/site.ts';
import { register as registerTokenize } from './commands/tokenize.ts';
import { register as registerTrain } from './commands/train.ts';
import { report } from './command.ts';
import { openOutput } from './output.ts';
import { VERSION } from './version.ts';

/** Every file under `commands/` registers its own. */
const registrations = [
  registerDemo,
  registerTrain,
  registerGenerate,
  registerEvaluate,
  registerExport,
  registerHub,
  registerSimulate,
  registerSite,
  registerModels,
  registerTokenize,
  registerAudit,
  registerBench,
  registerDoctor,
];

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
  for (const register of registrations) register(program);
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
