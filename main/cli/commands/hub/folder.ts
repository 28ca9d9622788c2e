/** @file What the commands of `tributary hub` share. */

import type { Command } from 'commander';
import { z } from 'zod';

/** Adds a command below `tributary hub`, with the option --dir that all of them take. */
export type AddCommand = (name: string, description: string) => Command;

/** The folder of the hub. */
export const folder = z.object({ dir: z.string() });
