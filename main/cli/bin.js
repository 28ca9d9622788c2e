#!/usr/bin/env node
/** @file Starts the built command line. */

import { existsSync } from 'node:fs';

const program = new URL('../../out/tributary.js', import.meta.url);
if (existsSync(program)) {
  await import(program.href);
} else {
  console.error('internal.not-built: The programs are not built. Run `npm ci` or `npm run build` first.');
  process.exitCode = 1;
}
