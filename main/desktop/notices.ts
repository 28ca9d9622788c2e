/** @file Notices of the system: what a person may have waited for, told outside the window. */

import type { Notification } from 'electron';
import type { Electron } from './electron.ts';

/** @param onClick opens the window */
export function createNotices(
  { Notification }: Pick<Electron, 'Notification'>,
  onClick: () => void,
): (sentence: string) => void {
  // A notice that nothing holds may be collected before it is clicked.
  const shown = new Set<Notification>();
  return (sentence) => {
    if (!Notification.isSupported()) return;
    const notice = new Notification({ title: 'Tributary', body: sentence });
    shown.add(notice);
    notice.on('click', () => {
      shown.delete(notice);
      onClick();
    });
    notice.on('close', () => shown.delete(notice));
    notice.show();
  };
}
