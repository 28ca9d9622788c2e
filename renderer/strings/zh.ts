/** @file Every string of the window in Simplified Chinese. */

import type { Catalogue } from './en.ts';
import { common } from './zh/common.ts';
import { shell } from './zh/shell.ts';

export const zh: Catalogue = { common, shell };
