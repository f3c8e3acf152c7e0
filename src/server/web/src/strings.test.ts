import { expect, test } from 'vitest';

import { STRINGS } from './strings';

/** Paths and kinds of all strings. */
function shape(value: unknown, at = ''): string[] {
  if (typeof value === 'function') return [`${at} of ${value.length}`];
  if (typeof value === 'string') {
    expect(value.trim(), at).not.toBe('');
    return [at];
  }
  return Object.entries(value as object).flatMap(([name, inner]) => shape(inner, `${at}.${name}`));
}

test('both languages have the same strings', () => {
  expect(shape(STRINGS.de)).toEqual(shape(STRINGS.en));
});

test('the languages differ', () => {
  expect(STRINGS.de.nothingLeaves).not.toBe(STRINGS.en.nothingLeaves);
});
