/** @file The screens of a site's and of a hub's window: their place in the navigation and where their code is. */

import Activity from '@lucide/svelte/icons/activity';
import Database from '@lucide/svelte/icons/database';
import FilePen from '@lucide/svelte/icons/file-pen';
import LockKeyhole from '@lucide/svelte/icons/lock-keyhole';
import MailPlus from '@lucide/svelte/icons/mail-plus';
import MessagesSquare from '@lucide/svelte/icons/messages-square';
import Network from '@lucide/svelte/icons/network';
import Package from '@lucide/svelte/icons/package';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Settings from '@lucide/svelte/icons/settings-2';
import Stethoscope from '@lucide/svelte/icons/stethoscope';
import type { Component } from 'svelte';
import type { IconComponent } from '../components/icon.ts';
import type { Catalogue } from '../strings/en.ts';

export interface Screen {
  /** The first word of its address. */
  readonly name: string;
  readonly title: keyof Catalogue['shell']['screens'];
  readonly icon: IconComponent;
  /** Stands apart from the one before it. */
  readonly apart?: true;
  /** Loaded when it is first shown, so that the window is there soon. */
  readonly load: () => Promise<{ readonly default: Component }>;
}

const settings: Screen = {
  name: 'settings',
  title: 'settings',
  icon: Settings,
  load: () => import('../screens/settings/Settings.svelte'),
};
const diagnostics: Screen = {
  name: 'diagnostics',
  title: 'diagnostics',
  icon: Stethoscope,
  load: () => import('../screens/diagnostics/Diagnostics.svelte'),
};

export const SITE_SCREENS: readonly Screen[] = [
  { name: 'data', title: 'data', icon: Database, load: () => import('../screens/data/Data.svelte') },
  { name: 'run', title: 'run', icon: Activity, load: () => import('../screens/run/Run.svelte') },
  {
    name: 'federation',
    title: 'federation',
    icon: Network,
    load: () => import('../screens/federation/Federation.svelte'),
  },
  { name: 'try', title: 'try', icon: MessagesSquare, load: () => import('../screens/try/Try.svelte') },
  {
    name: 'results',
    title: 'results',
    icon: Package,
    load: () => import('../screens/results/Results.svelte'),
  },
  {
    name: 'privacy',
    title: 'privacy',
    icon: LockKeyhole,
    apart: true,
    load: () => import('../screens/privacy/Privacy.svelte'),
  },
  settings,
  diagnostics,
];

/** What a hub's window shows. */
export const HUB_SCREENS: readonly Screen[] = [
  {
    name: 'overview',
    title: 'overview',
    icon: Network,
    load: () => import('../hub/overview/Overview.svelte'),
  },
  {
    name: 'invitations',
    title: 'invitations',
    icon: MailPlus,
    load: () => import('../hub/invitations/Invitations.svelte'),
  },
  { name: 'plans', title: 'plans', icon: FilePen, load: () => import('../hub/plans/Plans.svelte') },
  { name: 'runs', title: 'runs', icon: Activity, load: () => import('../hub/runs/Runs.svelte') },
  {
    name: 'ledger',
    title: 'ledger',
    icon: ScrollText,
    apart: true,
    load: () => import('../hub/ledger/Ledger.svelte'),
  },
  settings,
  diagnostics,
];

/** Before a site belongs to a federation; it fills the window. */
export const WELCOME: Screen = {
  name: 'welcome',
  title: 'welcome',
  icon: Network,
  load: () => import('../screens/welcome/Welcome.svelte'),
};
