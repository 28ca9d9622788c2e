/** @file Every string of the window in English. `zh.ts` has the same ones: the compiler and a test see to it. */

import { common } from './en/common.ts';
import { shell } from './en/shell.ts';

export const en = { common, shell };

/** What a catalogue of any language holds. */
export type Catalogue = typeof en;
