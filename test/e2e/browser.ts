/** @file Chromium with the windows of a site or a hub: opening, counting clicks, axe, screenshots. */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type axe from 'axe-core';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';

/** Where Debian and others put it; TRIBUTARY_CHROMIUM names another place. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const CHROMIUM = process.env.TRIBUTARY_CHROMIUM ?? PLACES.find((path) => existsSync(path));

/** Whether the windows can be tested, and the words that a skipped test shows. */
export const isBrowserThere = CHROMIUM !== undefined;
export const skipped = isBrowserThere ? '' : ' (skipped: no Chromium; TRIBUTARY_CHROMIUM names one)';

/** Screenshots of the last run. */
const SCREENSHOTS = join(import.meta.dirname, '../../out/test/screenshots');

export const openBrowser = (): Promise<Browser> =>
  // Chromium's own sandbox does not work for root, as whom tests run in containers.
  chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });

export interface WindowOptions {
  readonly theme?: 'light' | 'dark';
  readonly locale?: 'en' | 'zh-CN';
}

export interface TestWindow {
  readonly page: Page;
  /** Clicks of the mouse so far. */
  clicks(): number;
  /** What went wrong in the page itself: uncaught errors and lines of the console that say error. */
  readonly troubles: readonly string[];
  /** What axe finds serious or critical, as sentences. */
  audit(): Promise<string[]>;
  /** Goes to a screen, such as `data` or `run/ward-1`. */
  show(path: string): Promise<void>;
  /** Puts on a theme; pictures are named by it. */
  dress(theme: 'light' | 'dark'): Promise<void>;
  /** Resolves when nothing more is asked or moves: two pictures in a row are alike. */
  settle(): Promise<void>;
  /** `whole`: a picture as tall as what the screen holds. */
  shoot(name: string, options?: { readonly whole?: boolean }): Promise<void>;
  close(): Promise<void>;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function openWindow(
  browser: Browser,
  url: string,
  { theme = 'light', locale = 'en' }: WindowOptions = {},
): Promise<TestWindow> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    colorScheme: theme,
    locale,
    reducedMotion: 'reduce',
  });
  const window = await follow(await context.newPage(), theme);
  await window.page.goto(url);
  return window;
}

/** A page as a window: what is clicked in it and what goes wrong is counted from its next load on. */
export async function follow(page: Page, dressed: 'light' | 'dark' = 'light'): Promise<TestWindow> {
  const troubles: string[] = [];
  let theme = dressed;
  let clicks = 0;
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(message.text());
  });
  await page.exposeFunction('countClick', () => (clicks += 1));
  // A click that the keyboard makes has no detail.
  const counting = `addEventListener('click', (event) => {
    if (event.isTrusted && event.detail > 0) void countClick();
  }, { capture: true });`;
  await page.addInitScript({ content: counting });
  return {
    page,
    troubles,
    clicks: () => clicks,
    audit: async () => {
      // Evaluated by the debugger, which the window's content policy does not bind.
      await page.evaluate(axeSource);
      return page.evaluate(async () => {
        const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
        return violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`);
      });
    },
    show: async (path) => {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
    },
    dress: async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      theme = colorScheme;
    },
    settle: async () => {
      for (let before: Buffer = Buffer.alloc(0); ;) {
        const now = await page.screenshot();
        if (now.equals(before)) return;
        before = now;
        await page.waitForTimeout(100);
      }
    },
    shoot: async (name, { whole = false } = {}) => {
      mkdirSync(SCREENSHOTS, { recursive: true });
      const usual = page.viewportSize();
      if (whole && usual) {
        const hidden = await page.evaluate<number>(
          "(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.querySelector('main'))",
        );
        await page.setViewportSize({ ...usual, height: usual.height + hidden });
      }
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}.png`) });
      if (whole && usual) await page.setViewportSize(usual);
    },
    close: () => page.context().close(),
  };
}
