import { describe, expect, test } from 'vitest';

import type { Token } from '../api/types';
import { factor, restOf, spans, stepOf } from './tokens';

const token = (text: string, user: number | null, bytes?: number[]): Token => ({
  text,
  logprob: -1,
  user,
  steer: null,
  ...(bytes && { bytes }),
});

test('steps have borders at 1.5 and 5 times, alike in both directions', () => {
  const at = (times: number) => stepOf(Math.log(times));
  expect([at(1), at(1.49), at(1.51), at(4.9), at(5.1)]).toEqual([0, 0, 1, 1, 2]);
  expect([at(1 / 1.49), at(1 / 1.51), at(1 / 4.9), at(1 / 5.1)]).toEqual([0, -1, -1, -2]);
});

test('a missing number is no argument', () => {
  expect([stepOf(null), stepOf(undefined), stepOf(Number.NaN)]).toEqual([0, 0, 0]);
});

test('a factor is told alike for and against', () => {
  expect(factor(Math.log(3))).toBeCloseTo(3);
  expect(factor(-Math.log(3))).toBeCloseTo(3);
  expect(Number.isFinite(factor(Infinity))).toBe(true);
});

describe('spans', () => {
  test('of whole tokens are the tokens', () => {
    const made = spans([token('A', 2), token(' b', -0.5)]);
    expect(made.map((span) => [span.text, span.step])).toEqual([['A', 2], [' b', -1]]);
  });

  test('join tokens that end within a character, and add their numbers', () => {
    const [wave, tea] = spans([token('\ufffd', 0.4, [0xf0, 0x9f]), token('\ufffd', 0.5, [0x8d, 0xb5]), token(' tea', 0)]);
    expect(wave?.text).toBe('\u{1f375}');
    expect(wave?.token.user).toBeCloseTo(0.9);
    expect(wave?.token.logprob).toBe(-2);
    expect(tea?.text).toBe(' tea');
  });

  test('show bytes that never become a character as they were told', () => {
    const made = spans([token('\ufffd', 0, [0xf0, 0x9f])]);
    expect(made.map((span) => span.text)).toEqual(['\ufffd']);
    const many = spans(Array.from({ length: 9 }, () => token('?', 0, [0xff])));
    expect(many.map((span) => span.text).join('')).toBe('?????????');
  });

  test('leave the rest of a text that is being written', () => {
    const made = spans([token(' It', 1), token(' sings', 0)]);
    expect(restOf('It sings loud', made)).toBe(' loud');
    expect(restOf('It sings', made)).toBe('');
    // Tokens may come before their text.
    expect(restOf('It', made)).toBe('');
    expect(restOf('It', [])).toBe('It');
  });

  test('have no number if a method tells none', () => {
    expect(spans([token('a', null)])[0]?.token.user).toBeNull();
  });
});
