import { expect, test } from 'vitest';

import { stripOf } from './strip';

test('dots lie in the order of their values, with room at the ends', () => {
  const strip = stripOf({ own: 4, others: 12, low: -10, high: -6 });
  expect(strip.own).toBeLessThan(strip.others);
  expect(strip.own).toBeGreaterThan(3);
  expect(strip.others).toBeLessThan(97.001);
  expect(strip.ticks[0]?.value).toBe(0);
  expect(strip.interval?.[0]).toBeLessThan(strip.own);
  expect(strip.interval?.[1]).toBeGreaterThan(strip.own);
});

test('counts have no part below zero', () => {
  const strip = stripOf({ own: 0, others: 0.2, low: -0.5, high: 0.1 });
  expect(strip.ticks[0]?.value).toBe(0);
  expect(strip.interval?.[0]).toBeCloseTo(5);
});

test('values below zero and equal values have a place', () => {
  expect(stripOf({ own: -1, others: 1, low: null, high: null }).interval).toBeNull();
  const same = stripOf({ own: 0, others: 0, low: 0, high: 0 });
  expect(Number.isFinite(same.own)).toBe(true);
});
