/**
 * @file Loaded before a program that is tested as a utility process: gives it Electron's `process.parentPort` over the
 * channel of a forked process, and takes away everything by which it could tell Node's.
 */

import { EventEmitter } from 'node:events';

const send = process.send.bind(process);
const port = Object.assign(new EventEmitter(), { postMessage: (message) => void send(message) });
// What comes before anybody listens waits, as it does there.
port.once('newListener', () =>
  process.nextTick(() => process.on('message', (data) => port.emit('message', { data, ports: [] }))),
);
Object.defineProperty(process, 'parentPort', { value: port });
process.send = undefined;
