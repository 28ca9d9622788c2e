/** @file The steps of a hub's database in order; a released step never changes. */

import type { Migration } from '../../database.ts';
import { first } from './0001-first.ts';
import { broadcasts } from './0002-broadcasts.ts';
import { phases } from './0003-phases.ts';
import { rounds } from './0004-rounds.ts';
import { devices } from './0005-devices.ts';
import { late } from './0006-late.ts';

export const MIGRATIONS: readonly Migration[] = [first, broadcasts, phases, rounds, devices, late];
