/** @file A set of contents by 96 bits of their hash, in 12 bytes each: a million rows take 24 MB. */

import { hash } from 'node:crypto';

/** Bits of a content's hash, as hexadecimal digits. */
export function contentHash(text: string): string {
  return hash('sha256', text).slice(0, 24);
}

export interface ContentSet {
  /** Adds a hash of 24 hexadecimal digits; false where it was there already. */
  add(hashed: string): boolean;
}

export function contentSet(): ContentSet {
  let capacity = 4096;
  let slots = new Uint32Array(capacity * 3);
  let size = 0;
  const insert = (a: number, b: number, c: number): boolean => {
    for (let slot = a & (capacity - 1); ; slot = (slot + 1) & (capacity - 1)) {
      const at = slot * 3;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c) return false;
      if (slots[at] !== 0 || slots[at + 1] !== 0 || slots[at + 2] !== 0) continue;
      slots[at] = a;
      slots[at + 1] = b;
      slots[at + 2] = c;
      return true;
    }
  };
  const grow = (): void => {
    const old = slots;
    capacity *= 2;
    slots = new Uint32Array(capacity * 3);
    for (let at = 0; at < old.length; at += 3)
      if (old[at] !== 0 || old[at + 1] !== 0 || old[at + 2] !== 0) insert(old[at], old[at + 1], old[at + 2]);
  };
  return {
    add: (hashed) => {
      if (size * 2 >= capacity) grow();
      const word = (at: number): number => Number.parseInt(hashed.slice(at, at + 8), 16);
      const added = insert(word(0), word(8), word(16));
      if (added) size++;
      return added;
    },
  };
}
