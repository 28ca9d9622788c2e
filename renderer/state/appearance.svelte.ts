/** @file Language and theme: applied to the page, kept with the folder's settings. */

import { bridge } from '../bridge/bridge.ts';
import { language } from '../strings/language.svelte.ts';
import type { Locale } from '../strings/language.svelte.ts';

export type Theme = 'light' | 'dark';

class Appearance {
  /** Null follows the system. */
  theme: Theme | null = $state(null);
  locale: Locale | null = $state(null);

  apply({ theme, locale }: { readonly theme: Theme | null; readonly locale: Locale | null }): void {
    this.theme = theme;
    this.locale = locale;
    if (theme === null) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    language.choose(locale);
  }

  /** Shown at once; a folder that cannot keep it loses it with the window. */
  set(change: { theme?: Theme | null; locale?: Locale | null }): void {
    this.apply({ theme: this.theme, locale: this.locale, ...change });
    void bridge.ask('settings.set', { settings: change }).catch(() => undefined);
  }
}

export const appearance = new Appearance();
