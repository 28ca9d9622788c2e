/** @file A secret of the hub in a file of its own, made at first use, for programs that are to know it. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from '../files.ts';

/** What a request for the hub's figures has to carry. */
export const METRICS_TOKEN_FILE = 'metrics.token';
/** What the hub signs its events with. */
export const WEBHOOK_SECRET_FILE = 'webhook.secret';

/** Reads the secret, or writes a fresh one of 32 random bytes (mode 0600). */
export async function openSecretFile(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secret = randomBytes(32).toString('base64url');
    await writeFileAtomically(path, `${secret}\n`);
    return secret;
  }
}
