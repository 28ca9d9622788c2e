/** @file Every string of the window in English. `zh.ts` has the same ones: the compiler and a test see to it. */

import { common } from './en/common.ts';
import { shell } from './en/shell.ts';
import { files } from './en/files.ts';
import { welcome } from './en/welcome.ts';
import { data } from './en/data.ts';
import { publicData } from './en/public-data.ts';
import { run } from './en/run.ts';
import { rehearsal } from './en/rehearsal.ts';
import { federation } from './en/federation.ts';
import { tryIt } from './en/try.ts';
import { results } from './en/results.ts';
import { diagnostics } from './en/diagnostics.ts';
import { settings } from './en/settings.ts';
import { privacy } from './en/privacy.ts';
import { ledger } from './en/ledger.ts';
import { hub } from './en/hub.ts';
import { rounds } from './en/rounds.ts';
import { plan } from './en/plan.ts';

export const en = {
  common,
  shell,
  files,
  welcome,
  data,
  publicData,
  run,
  rehearsal,
  federation,
  tryIt,
  results,
  diagnostics,
  settings,
  privacy,
  ledger,
  hub,
  rounds,
  plan,
};

/** What a catalogue of any language holds. */
export type Catalogue = typeof en;
