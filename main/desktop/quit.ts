/** @file The end of the program in order: the site first, as at SIGTERM, then all else. */

import type { Electron } from './electron.ts';

/** A site that has not ended by then is ended with the program, which loses nothing that was acknowledged. */
const PATIENCE_MILLISECONDS = 20_000;

/** @param close what has to be over before the program may end */
export function quitInOrder(
  { app, powerMonitor }: Pick<Electron, 'app' | 'powerMonitor'>,
  close: () => Promise<void>,
): void {
  let state: 'open' | 'closing' | 'closed' = 'open';

  async function end(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE_MILLISECONDS)));
    // What fails at the end fails for nobody who could still be told.
    await Promise.race([close().catch(() => undefined), patience]);
    clearTimeout(timer);
    state = 'closed';
    app.quit();
  }

  app.on('before-quit', (event) => {
    if (state === 'closed') return;
    event.preventDefault();
    if (state === 'open') {
      state = 'closing';
      void end();
    }
  });
  // Linux and macOS wait with switching off for a program that asks for it.
  powerMonitor.on('shutdown', (event?: { preventDefault(): void }) => {
    event?.preventDefault();
    app.quit();
  });
}
