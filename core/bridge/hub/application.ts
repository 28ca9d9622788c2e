/** @file What the answers of a hub's window have in common: the running hub, and how windows are told. */

import type { Hub } from '../../hub/hub.ts';
import type { Dispatcher } from '../dispatch.ts';

export interface HubApplication {
  readonly folder: string;
  readonly hub: Hub;
  readonly emit: Dispatcher['emit'];
}
