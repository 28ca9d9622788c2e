/**
 * @file Draws `packaging/resources/icon.png` from the window's icon.svg, in Chromium; electron-builder derives the
 * icons of all systems from it. Run by hand when the drawing changes.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** What macOS asks for; electron-builder makes the smaller ones. */
const SIDE = 1024;

const root = join(import.meta.dirname, '..');
const svg = await readFile(join(root, 'renderer/public/icon.svg'), 'utf8');
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: SIDE, height: SIDE } });
  await page.setContent(`<style>* { margin: 0 } svg { display: block; width: 100vw }</style>${svg}`);
  await page.screenshot({ path: join(root, 'packaging/resources/icon.png'), omitBackground: true });
} finally {
  await browser.close();
}
