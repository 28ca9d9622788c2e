/** @file Where the window was when it was last seen: kept in one small file, believed only as far as it fits the screens. */

import { readFileSync } from 'node:fs';
import type { Rectangle } from 'electron';
import { z } from 'zod';
import { writeFileAtomically } from '../../core/files.ts';

const side = z.int().min(-100_000).max(100_000);
const stateShape = z.object({
  x: side,
  y: side,
  width: z.int().min(1).max(100_000),
  height: z.int().min(1).max(100_000),
  maximized: z.boolean(),
});
export type WindowState = z.infer<typeof stateShape>;

export const SMALLEST = { width: 720, height: 520 } as const;
const FIRST = { width: 1280, height: 860 } as const;

/** So much of the window has to lie on a screen, or nobody could take hold of it. */
const GRIP = 80;

/** The state to open with; `x` and `y` are missing where the system should choose. */
export function readWindowState(
  path: string,
  screens: readonly Rectangle[],
): Omit<WindowState, 'x' | 'y'> & Partial<Pick<WindowState, 'x' | 'y'>> {
  const state = read(path);
  if (state === null) return { ...FIRST, maximized: false };
  const screen = screens.find((one) => isOn(state, one));
  const room = screen ?? screens.at(0) ?? { x: 0, y: 0, ...FIRST };
  const size = {
    width: Math.max(SMALLEST.width, Math.min(state.width, room.width)),
    height: Math.max(SMALLEST.height, Math.min(state.height, room.height)),
  };
  const { x, y, maximized } = state;
  return screen === undefined ? { ...size, maximized } : { x, y, ...size, maximized };
}

/** A crash leaves the old state or the new one. */
export function writeWindowState(path: string, state: WindowState): Promise<void> {
  return writeFileAtomically(path, `${JSON.stringify(state)}\n`);
}

function read(path: string): WindowState | null {
  try {
    return stateShape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

/** Whether the window's upper edge can be taken hold of on a screen. */
function isOn({ x, y, width }: WindowState, screen: Rectangle): boolean {
  const shown = Math.min(x + width, screen.x + screen.width) - Math.max(x, screen.x);
  return shown >= GRIP && y >= screen.y && y <= screen.y + screen.height - GRIP;
}
