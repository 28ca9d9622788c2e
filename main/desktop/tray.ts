/** @file The icon beside the clock: what the site does, the window, the end. */

import type { Electron } from './electron.ts';
import type { Words } from './strings.ts';
import type { Work } from './work.ts';

export interface TrayIcon {
  show(work: Work): void;
  close(): void;
}

export function createTray(
  { Tray, Menu, nativeImage }: Pick<Electron, 'Tray' | 'Menu' | 'nativeImage'>,
  options: {
    /** Path of the picture. */
    readonly icon: string;
    readonly words: () => Words;
    readonly onOpen: () => void;
    readonly onQuit: () => void;
  },
): TrayIcon {
  const { icon, words, onOpen, onQuit } = options;
  const tray = new Tray(nativeImage.createFromPath(icon));
  tray.on('click', onOpen);
  let shown = '';
  return {
    show: (work) => {
      const said = words();
      const sentence = sentenceOf(work, said);
      // A step changes nothing of it, and each change is drawn anew.
      if (sentence === shown) return;
      shown = sentence;
      tray.setToolTip(`Tributary: ${sentence}`);
      tray.setContextMenu(
        Menu.buildFromTemplate([
          { label: sentence, enabled: false },
          { type: 'separator' },
          { label: said.open, click: onOpen },
          { label: said.quit, click: onQuit },
        ]),
      );
    },
    close: () => tray.destroy(),
  };
}

function sentenceOf({ status, training }: Work, words: Words): string {
  if (status?.state === 'working' && status.round !== null && status.rounds !== null) {
    return words.trainingRound(status.round + 1, status.rounds);
  }
  if (training) return words.training;
  switch (status?.state) {
    case 'awaiting-approval':
      return words.waiting;
    case 'offline':
      return words.offline;
    case 'not-joined':
      return words.notJoined;
    default:
      return words.idle;
  }
}
