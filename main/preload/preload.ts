/**
 * @file The one thing that the page is given: asking by a name of the contract, and hearing events. Both ways go JSON
 * texts, as over the WebSocket of browser mode, so that nothing but text crosses the border.
 */

import { contextBridge, ipcRenderer } from 'electron';
import type { DesktopBridge } from '../../core/bridge/contract.ts';
import { ASK, EVENT } from '../desktop/channels.ts';

/** Of the contract; the build puts them here. */
declare const REQUEST_NAMES: readonly string[];
const names = new Set(REQUEST_NAMES);

contextBridge.exposeInMainWorld('tributary', {
  ask: (name, input) =>
    names.has(name)
      ? (ipcRenderer.invoke(ASK, name, input) as Promise<string>)
      : Promise.reject(new TypeError('There is no such request.')),
  listen: (listener) => void ipcRenderer.on(EVENT, (_, text: string) => listener(text)),
} satisfies DesktopBridge);
