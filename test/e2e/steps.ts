/** @file What a data owner does in the window of a site, step by step. */

import { readFileSync, writeFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import { en } from '../../renderer/strings/en.ts';

/** A button by its whole name, once it can be pressed. */
export async function button(page: Page, name: string): Promise<Locator> {
  const found = page.getByRole('button', { name, exact: true }).and(page.locator(':enabled'));
  await found.waitFor();
  return found;
}

/** Pastes an invitation and names the site; what follows is the button. */
export async function pasteInvitation(page: Page, invitation: string, name: string): Promise<void> {
  await page.getByLabel(en.welcome.invitation, { exact: true }).fill(invitation);
  await page.getByLabel(en.welcome.siteName).fill(name);
}

/** Questions and answers of a JSON Lines file as a table, as a hospital's system would export it. */
export function writeTable(rows: readonly Row[], path: string): void {
  const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const lines = rows.map(({ question, answer }) => `${cell(question)},${cell(answer)}`);
  writeFileSync(path, ['question,answer', ...lines].join('\r\n'));
}

export interface Row {
  readonly question: string;
  readonly answer: string;
}

export function readRows(path: string): Row[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}
