/** @file Entry of the command line. */

import { runCommandLine } from './program.ts';
import { keepNewSpaceSmall } from '../runtime.ts';

// A reader that stops early (`tributary … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const words = process.argv.slice(2);
if (words[0] === 'hub') keepNewSpaceSmall(); // before its code is loaded
await runCommandLine(words);
