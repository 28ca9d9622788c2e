/** @file Chromium with the windows of a site or a hub: opening, counting clicks, axe, screenshots. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type axe from 'axe-core';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';

/** Milliseconds for a test of a window: far more than a busy machine needs; what hangs shows. */
export const PATIENCE = 180_000;
/** Milliseconds that a page may take to show what is waited for. */
const PAGE_PATIENCE = 90_000;

const THEMES = ['dark', 'light'] as const;

/** Of WebP, from 0 to 100: letters are still sharp. */
const QUALITY = 70;

/** For so long a screen on which something moves on and on is waited for, milliseconds. */
const UNREST = 3000;

/** Where Debian and others put it; TRIBUTARY_CHROMIUM names another place. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const CHROMIUM = process.env.TRIBUTARY_CHROMIUM ?? PLACES.find((path) => existsSync(path));

/** Whether the windows can be tested, and the words that a skipped test shows. */
export const isBrowserThere = CHROMIUM !== undefined;
export const skipped = isBrowserThere ? '' : ' (skipped: no Chromium; TRIBUTARY_CHROMIUM names one)';

/** Pictures of the last run; `docs/screenshots` holds some of them, under the same names. */
const SCREENSHOTS = join(import.meta.dirname, '../../out/test/screenshots');

export const openBrowser = (): Promise<Browser> =>
  // Chromium's own sandbox does not work for root, as whom tests run in containers.
  chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });

export interface LookOptions {
  /**
   * What of a screen that is longer than the window: its `top`, as without it, the `whole`, in a picture as tall as
   * that, or what is in sight now, `here`.
   */
  readonly part?: 'top' | 'whole' | 'here';
}

export interface TestWindow {
  readonly page: Page;
  /** Clicks of the mouse so far. */
  clicks(): number;
  /** What went wrong in the page itself: uncaught errors and lines of the console that say error. */
  readonly troubles: readonly string[];
  /** Goes to a screen, such as `data` or `run/ward-1`. */
  show(path: string): Promise<void>;
  /** In each theme takes a picture and asks axe; gives what it finds serious or critical, as sentences. */
  look(name: string, options?: LookOptions): Promise<string[]>;
  /** A picture in light alone. */
  shoot(name: string): Promise<void>;
  close(): Promise<void>;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Opens it in light, and in the language that the browser is said to prefer. */
export async function openWindow(
  browser: Browser,
  url: string,
  locale: 'en' | 'zh-CN' = 'en',
): Promise<TestWindow> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    colorScheme: 'light',
    locale,
    reducedMotion: 'reduce',
  });
  const window = await follow(await context.newPage());
  await window.page.goto(url);
  return window;
}

/** Those that are open. */
const pages = new Set<Page>();

/** Pictures of what is open, for one who looks for the reason of a failure. */
export async function shootFailure(test: string): Promise<void> {
  const name = `failed-${test.replaceAll(/\W+/g, '-').slice(0, 60)}`;
  for (const [at, page] of [...pages].entries()) await picture(page, `${name}-${at + 1}`);
}

/** A page as a window: what is clicked in it and what goes wrong is counted from its next load on. */
export async function follow(page: Page): Promise<TestWindow> {
  const troubles: string[] = [];
  let clicks = 0;
  page.setDefaultTimeout(PAGE_PATIENCE);
  pages.add(page);
  page.on('close', () => pages.delete(page));
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
    show: async (path) => {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
    },
    look: async (name, options) => {
      const found: string[] = [];
      // Windows are in light, and stay so.
      for (const theme of THEMES) {
        await page.emulateMedia({ colorScheme: theme });
        await picture(page, `${name}-${theme}`, options);
        found.push(...(await audit(page)).map((sentence) => `${theme}: ${sentence}`));
      }
      return found;
    },
    shoot: (name) => picture(page, `${name}-light`),
    close: () => page.context().close(),
  };
}

/** What axe finds serious or critical. */
async function audit(page: Page): Promise<string[]> {
  // Evaluated by the debugger, which the window's content policy does not bind.
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

/** Resolves when nothing more is asked or moves: two pictures in a row are alike. */
async function settle(page: Page): Promise<void> {
  const end = performance.now() + UNREST;
  for (let before: Buffer = Buffer.alloc(0); performance.now() < end;) {
    const now = await page.screenshot();
    if (now.equals(before)) return;
    before = now;
    await page.waitForTimeout(100);
  }
}

/** Taken once the page is at rest. */
async function picture(page: Page, name: string, { part = 'top' }: LookOptions = {}): Promise<void> {
  const usual = page.viewportSize();
  if (part === 'top') await page.evaluate("document.querySelector('main')?.scrollTo(0, 0)");
  if (part === 'whole' && usual) {
    const hidden = await page.evaluate<number>(
      "(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.querySelector('main'))",
    );
    await page.setViewportSize({ ...usual, height: usual.height + hidden });
  }
  await settle(page);
  const debug = await page.context().newCDPSession(page);
  const { data } = await debug.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY });
  await debug.detach();
  mkdirSync(SCREENSHOTS, { recursive: true });
  writeFileSync(join(SCREENSHOTS, `${name}.webp`), Buffer.from(data, 'base64'));
  if (part === 'whole' && usual) await page.setViewportSize(usual);
}
