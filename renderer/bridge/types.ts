/** @file What the window knows of the process behind it: the contract's types and nothing else. */

export type {
  Bridge,
  BridgeError as BridgeErrorBody,
  EventBody,
  EventName,
  Input,
  Output,
  RequestName,
} from '../../core/bridge/contract.ts';
