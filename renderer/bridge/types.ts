/** @file What the window knows of the process behind it: the contract's types, and whether it answers. */

import type { Bridge } from '../../core/bridge/contract.ts';

export type {
  Bridge,
  BridgeError as BridgeErrorBody,
  DesktopBridge,
  EventBody,
  EventName,
  Input,
  Output,
  RequestName,
} from '../../core/bridge/contract.ts';

export type LinkState = 'connecting' | 'open' | 'lost' | 'refused';

/** A bridge that may break and come back. */
export interface LinkedBridge extends Bridge {
  onLink(listener: (state: LinkState, nextAttemptSeconds: number) => void): void;
}
