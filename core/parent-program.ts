/** @file The side of a child that `child-programs.ts` has started: hearing its parent, answering, ending with it. */

/** What a parent in Electron sends: there is no channel to be closed, so leaving is a message too. */
export type FromElectron = { readonly message: unknown } | { readonly leave: true };

/** As far as it is used: Electron's `process.parentPort` in a utility process. */
interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { readonly data: FromElectron }) => void): void;
}

/**
 * Hears the parent from now on. Without its parent nobody needs the work: the process ends.
 * @returns how to send something to the parent
 */
export function listenToParent(listener: (message: unknown) => void): (message: unknown) => void {
  const { parentPort } = process as { readonly parentPort?: ParentPort };
  if (parentPort !== undefined) {
    parentPort.on('message', ({ data }) => {
      if ('leave' in data) end();
      else listener(data.message);
    });
    return (message) => parentPort.postMessage(message);
  }
  process.on('message', listener);
  process.on('disconnect', end);
  return (message) => void process.send?.(message, undefined, undefined, (error) => error && end());
}

function end(): void {
  process.exit(0);
}
