/** State of the whole page: language, what the server is, whether it wants a key, the address. */

import { RequestError } from '../api/error';
import { get, whenKeyNeeded } from '../api/request';
import { storeKey } from '../api/key';
import type { About } from '../api/types';
import { type Language, type Strings, STRINGS } from '../strings';
import { asRequestError } from './resource.svelte';
import { type Route, parseRoute } from './route';

/** Time after which the server is asked again while its models are loaded, ms. */
const AGAIN = 1000;
const LANGUAGE = 'idiolect-language';

class AppState {
  language = $state<Language>(firstLanguage());
  about = $state.raw<About | null>(null);
  error = $state.raw<RequestError | null>(null);
  isKeyNeeded = $state(false);
  route = $state.raw<Route>(parseRoute(location.hash));

  get t(): Strings {
    return STRINGS[this.language];
  }

  setLanguage(language: Language): void {
    this.language = language;
    try {
      localStorage.setItem(LANGUAGE, language);
    } catch {
      // The language then lasts until the page is closed.
    }
  }

  /** Asks what the server is, again and again while it loads its models. */
  async load(): Promise<void> {
    try {
      this.about = await get<About>('/api/about');
      this.error = null;
      this.isKeyNeeded = false;
    } catch (reason) {
      this.error = asRequestError(reason);
      const isLater = this.error.status === 503 || this.error.status === 0;
      if (isLater) setTimeout(() => void this.load(), AGAIN);
    }
  }

  async useKey(key: string): Promise<void> {
    storeKey(key);
    this.isKeyNeeded = false;
    await this.load();
  }

  /** Begins to follow the address. */
  start(): void {
    whenKeyNeeded(() => {
      this.isKeyNeeded = true;
    });
    addEventListener('hashchange', () => {
      this.route = parseRoute(location.hash);
    });
    void this.load();
  }
}

function firstLanguage(): Language {
  try {
    const kept = localStorage.getItem(LANGUAGE);
    if (kept === 'de' || kept === 'en') return kept;
  } catch {
    // Fall through to the browser's language.
  }
  return navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en';
}

export const app = new AppState();

/** Numbers and dates in the page's language. */
export const say = {
  number(value: number, digits = 0): string {
    return new Intl.NumberFormat(app.language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  },
  /** With two or three significant digits. */
  figure(value: number): string {
    return new Intl.NumberFormat(app.language, { maximumSignificantDigits: Math.abs(value) >= 100 ? 3 : 2 }).format(value);
  },
  signed(value: number, digits = 2): string {
    const text = new Intl.NumberFormat(app.language, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
      signDisplay: 'exceptZero',
    }).format(value);
    return text.replace('-', '\u2212');
  },
  percent(share: number, digits = 0): string {
    return new Intl.NumberFormat(app.language, { style: 'percent', maximumFractionDigits: digits }).format(share);
  },
  /** A time in seconds since 1970. */
  date(seconds: number): string {
    return new Intl.DateTimeFormat(app.language, { dateStyle: 'medium' }).format(seconds * 1000);
  },
  year(seconds: number): string {
    return String(new Date(seconds * 1000).getUTCFullYear());
  },
};
