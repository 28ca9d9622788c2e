/** @file The program in which a window lives. */

/** How it differs from others. */
export interface Program {
  /** Name and version, as it is told to a hub. */
  readonly software: string;
  readonly version: string;
  /** `browser` has no dialogs of the system. */
  readonly surface: 'browser' | 'desktop';
  /** Where the keys lie. */
  readonly secrets: 'keychain' | 'file';
}
