/** The visitor's own answers in "Guess who", kept in this browser: two numbers and no text. */

const NAME = 'idiolect-guesses';

export interface Tally {
  right: number;
  of: number;
}

export function readTally(): Tally {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(NAME) ?? 'null');
    const { right, of } = (kept ?? {}) as Partial<Tally>;
    const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    if (isCount(right) && isCount(of) && right <= of) return { right, of };
  } catch {
    // Unreadable or not allowed: a new tally.
  }
  return { right: 0, of: 0 };
}

export function keepTally(tally: Tally): void {
  try {
    localStorage.setItem(NAME, JSON.stringify(tally));
  } catch {
    // The tally then lasts until the page is closed.
  }
}
