import { describe, expect, test } from 'vitest';

import { exactInterval, tail } from './binomial';

describe('the exact interval', () => {
  // Values of scipy.stats.binomtest(k, n).proportion_ci(0.95, 'exact').
  test.each([
    [0, 1, 0, 0.975],
    [7, 9, 0.3999, 0.9719],
    [51, 59, 0.7502, 0.9396],
    [10, 10, 0.6915, 1],
    [500, 1000, 0.4685, 0.5315],
  ])('of %i in %i', (right, of, low, high) => {
    const interval = exactInterval(right, of);
    expect(interval[0]).toBeCloseTo(low, 3);
    expect(interval[1]).toBeCloseTo(high, 3);
  });

  test('is the whole range before the first answer', () => {
    expect(exactInterval(0, 0)).toEqual([0, 1]);
  });

  test('contains the share and narrows with more answers', () => {
    let before = 1;
    for (const n of [4, 16, 64, 256, 1024]) {
      const [low, high] = exactInterval((3 * n) / 4, n);
      expect(low).toBeLessThan(0.75);
      expect(high).toBeGreaterThan(0.75);
      expect(high - low).toBeLessThan(before);
      before = high - low;
    }
  });
});

test('the tail of one throw is its probability', () => {
  expect(tail(1, 1, 0.3)).toBeCloseTo(0.3, 12);
  expect(tail(0, 5, 0.3)).toBe(1);
  expect(tail(6, 5, 0.3)).toBe(0);
  expect(tail(2, 3, 0.5)).toBeCloseTo(0.5, 12);
});
