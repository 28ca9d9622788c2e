/** @file Sentences of the program in Chinese, by their form; a test sees to it that none of them is missing. */

import type { Form } from '../sentences.ts';
import { data } from './sentences/data.ts';
import { diagnostics } from './sentences/diagnostics.ts';
import { hub } from './sentences/hub.ts';
import { plan } from './sentences/plan.ts';
import { presets } from './sentences/presets.ts';
import { site } from './sentences/site.ts';

export const sentences: readonly Form[] = [...site, ...hub, ...plan, ...presets, ...data, ...diagnostics];
