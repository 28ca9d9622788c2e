/** @file The language of the window: its catalogue, and numbers, sizes and times as that language writes them. */

import { en } from './en.ts';
import type { Catalogue } from './en.ts';
import { zh } from './zh.ts';
import { lists, moments, numbers } from './formatters.ts';
import { translator } from './sentences.ts';
import { remedies } from './zh/remedies.ts';
import { sentences } from './zh/sentences.ts';

export const LOCALES = ['en', 'zh-CN'] as const;
export type Locale = (typeof LOCALES)[number];

const catalogues: Record<Locale, Catalogue> = { en, 'zh-CN': zh };

const inChinese = translator(sentences);

/** The language that the system prefers, as far as there is a catalogue for it. */
function preferred(): Locale {
  return navigator.languages
    .find((each) => /^(zh|en)\b/i.test(each))
    ?.toLowerCase()
    .startsWith('zh')
    ? 'zh-CN'
    : 'en';
}

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

class Language {
  locale: Locale = $state(preferred());
  /** Every string of the window. */
  readonly t: Catalogue = $derived(catalogues[this.locale]);

  /** A sentence of the program, which is in English, in this language as far as its form is known. */
  said(sentence: string): string {
    return this.locale === 'zh-CN' ? inChinese(sentence) : sentence;
  }

  /** What to do about an error: in this language where it is known, or as the program says it, which is in English. */
  remedy({ code, hint }: { readonly code: string; readonly hint: string }): string {
    return (this.locale === 'zh-CN' ? remedies[code] : undefined) ?? hint;
  }

  /** A dataset by its name and version, such as `notes@2`. */
  dataset(reference: string): string {
    const [, name, version] = /^(.*)@(\d+)$/.exec(reference) ?? [];
    return name === undefined ? reference : this.t.data.ofVersion(name, version);
  }

  /** A label as it stands within a sentence; what begins with an abbreviation stays. */
  within(label: string): string {
    return /^[A-Z](?![A-Z])/.test(label) ? label[0].toLowerCase() + label.slice(1) : label;
  }

  /** Null goes back to the system's choice. */
  choose(locale: Locale | null): void {
    this.locale = locale ?? preferred();
    document.documentElement.lang = this.locale;
  }

  number(value: number, digits = 0): string {
    return numbers(this.locale, { maximumFractionDigits: digits }).format(value);
  }

  /** A large number in few characters, such as 135M. */
  compact(value: number): string {
    return numbers(this.locale, { notation: 'compact', maximumFractionDigits: 1 }).format(value);
  }

  /** A number with as many digits as say something, such as a loss. */
  figure(value: number | null, digits = 4): string {
    if (value === null || !Number.isFinite(value)) return '–';
    return numbers(this.locale, { maximumSignificantDigits: digits }).format(value);
  }

  /** `share` from 0 to 1. */
  percent(share: number, digits = 0): string {
    return numbers(this.locale, { style: 'percent', maximumFractionDigits: digits }).format(share);
  }

  bytes(bytes: number): string {
    const power = Math.min(Math.max(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 0), 4);
    return numbers(this.locale, {
      style: 'unit',
      unit: BYTE_UNITS[power],
      unitDisplay: power === 0 ? 'long' : 'short',
      maximumFractionDigits: power === 0 ? 0 : 1,
    }).format(bytes / 1000 ** power);
  }

  /** A length of time in its two largest units. */
  duration(seconds: number): string {
    const whole = Math.max(0, Math.round(seconds));
    const parts = [
      ['day', Math.floor(whole / 86_400)],
      ['hour', Math.floor((whole % 86_400) / 3600)],
      ['minute', Math.floor((whole % 3600) / 60)],
      ['second', whole % 60],
    ] as const;
    const first = parts.findIndex(([, value]) => value > 0);
    const shown = first === -1 ? [parts[3]] : parts.slice(first, first + 2).filter(([, value]) => value > 0);
    return shown
      .map(([unit, value]) =>
        numbers(this.locale, { style: 'unit', unit, unitDisplay: 'short' }).format(value),
      )
      .join(' ');
  }

  /** A moment, given as Unix seconds. */
  time(seconds: number): string {
    return moments(this.locale, { dateStyle: 'medium', timeStyle: 'short' }).format(seconds * 1000);
  }

  /** A moment of this day. */
  clock(seconds: number): string {
    return moments(this.locale, { timeStyle: 'short' }).format(seconds * 1000);
  }

  list(items: readonly string[]): string {
    return lists(this.locale, { type: 'conjunction' }).format(items);
  }
}

export const language = new Language();
