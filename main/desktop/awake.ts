/** @file Keeps the machine from falling asleep while it trains; its screen may go dark. */

import type { PowerSaveBlocker } from 'electron';

export function createAwake(blocker: PowerSaveBlocker): (wanted: boolean) => void {
  let id: number | null = null;
  return (wanted) => {
    if (wanted && id === null) id = blocker.start('prevent-app-suspension');
    if (!wanted && id !== null) {
      blocker.stop(id);
      id = null;
    }
  };
}
