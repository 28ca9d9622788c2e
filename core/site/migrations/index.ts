/** @file The steps of a site's database in order; a released step never changes. */

import type { Migration } from '../../database.ts';
import { first } from './0001-first.ts';
import { carried } from './0002-carried.ts';
import { amendments } from './0003-amendments.ts';
import { traffic } from './0004-traffic.ts';
import { stops } from './0005-stops.ts';
import { keys } from './0006-keys.ts';
import { federations } from './0007-federations.ts';

export const MIGRATIONS: readonly Migration[] = [
  first,
  carried,
  amendments,
  traffic,
  stops,
  keys,
  federations,
];
