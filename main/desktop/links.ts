/** @file Links `tributary://join/INVITATION`: what they bring is shown on the screen for joining, and nothing is joined. */

import { parseInvitation } from '../../core/federation/invitation.ts';

export const LINK_SCHEME = 'tributary';

/** Longer than any invitation. */
const MAX_CHARACTERS = 10_000;

/** The invitation of a link; null for any other text, and for an invitation that is garbled. */
export function invitationOf(link: string): string | null {
  if (link.length > MAX_CHARACTERS) return null;
  const invitation = /^tributary:\/\/join\/(tributary1\.[\w-]+)\/?$/.exec(link)?.[1];
  if (invitation === undefined) return null;
  try {
    parseInvitation(invitation);
    return invitation;
  } catch {
    return null;
  }
}

/** The first invitation among the words of a command line, as Windows and Linux hand a link over. */
export function invitationAmong(words: readonly string[]): string | null {
  return words.map(invitationOf).find((invitation) => invitation !== null) ?? null;
}

/** An invitation that a link has brought, until the window has taken it. */
export interface Inbox {
  /** What is no link is ignored. */
  put(invitation: string | null): void;
  /** Gives it once. */
  take(): string | null;
  /** Called when one has come, from now on. */
  onArrival(listener: () => void): void;
}

export function createInbox(): Inbox {
  let kept: string | null = null;
  const listeners: (() => void)[] = [];
  return {
    put: (invitation) => {
      if (invitation === null) return;
      kept = invitation;
      for (const listener of listeners) listener();
    },
    take: () => {
      const invitation = kept;
      kept = null;
      return invitation;
    },
    onArrival: (listener) => void listeners.push(listener),
  };
}
