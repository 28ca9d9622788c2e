/** Path of Electron's binary as far as it is on this machine; null where it is not. */
export function findElectron(root: string): string | null;
/** Why the desktop program cannot run in it, as the beginning of a sentence; null where it can. */
export function whyNotUsable(electron: string, root: string): string | null;
