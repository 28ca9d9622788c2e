/** @file Entry of the command line. */

import { runCommandLine } from './program.ts';

// A reader that stops early (`tributary … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

await runCommandLine(process.argv.slice(2));
