/** @file Every string of the window in Simplified Chinese. */

import type { Catalogue } from './en.ts';
import { common } from './zh/common.ts';
import { shell } from './zh/shell.ts';
import { files } from './zh/files.ts';
import { welcome } from './zh/welcome.ts';
import { data } from './zh/data.ts';
import { publicData } from './zh/public-data.ts';
import { run } from './zh/run.ts';
import { rehearsal } from './zh/rehearsal.ts';
import { federation } from './zh/federation.ts';
import { tryIt } from './zh/try.ts';
import { results } from './zh/results.ts';
import { diagnostics } from './zh/diagnostics.ts';
import { settings } from './zh/settings.ts';
import { privacy } from './zh/privacy.ts';
import { ledger } from './zh/ledger.ts';
import { hub } from './zh/hub.ts';
import { rounds } from './zh/rounds.ts';
import { plan } from './zh/plan.ts';

export const zh: Catalogue = {
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
