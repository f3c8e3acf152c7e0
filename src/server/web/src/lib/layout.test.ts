import { expect, test } from 'vitest';

import { Boxes, extent, finder, place } from './layout';

test('points keep their shape and stay inside', () => {
  const points = place([0, 1, 0.5], [0, 0.5, 0.25], [1, 9, 4], 800, 300);
  for (let i = 0; i < 3; i += 1) {
    expect(points.x[i]).toBeGreaterThan(0);
    expect(points.x[i]).toBeLessThan(800);
    expect(points.y[i]).toBeGreaterThan(0);
    expect(points.y[i]).toBeLessThan(300);
  }
  const [wide, high] = [(points.x[1] ?? 0) - (points.x[0] ?? 0), (points.y[1] ?? 0) - (points.y[0] ?? 0)];
  expect(wide / high).toBeCloseTo(2);
  expect([...points.order]).toEqual([1, 2, 0]);
});

test('one point lies in the middle', () => {
  const points = place([0.3], [0.9], [5], 644, 200);
  expect([points.x[0], points.y[0]]).toEqual([300, 100]);
});

test('no point lies under the buttons', () => {
  expect(Math.max(...place([0, 1], [0.4, 0.5], [1, 1], 800, 500).x)).toBeLessThan(740);
  const points = place([0, 1, 0.5], [0, 1, 0.5], [1, 1, 1], 300, 260);
  expect(Math.min(...points.y)).toBeGreaterThan(60);
  expect(Math.max(...points.y)).toBeLessThan(260);
});

test('the nearest point within reach is found', () => {
  const points = place([0, 1], [0, 1], [1, 1], 500, 500);
  const find = finder(points);
  const [x, y] = [points.x[1] ?? 0, points.y[1] ?? 0];
  expect(find(x + 5, y, 10)).toBe(1);
  expect(find(x + 15, y, 10)).toBeNull();
});

test('boxes do not overlap', () => {
  const boxes = new Boxes();
  expect(boxes.add([0, 0, 100, 16])).toBe(true);
  expect(boxes.add([99, 10, 200, 26])).toBe(false);
  expect(boxes.add([100, 0, 200, 16])).toBe(true);
  expect(boxes.add([-500, -16, 500, 0])).toBe(true);
});

test('the extent of nothing is a range', () => {
  expect(extent([])).toEqual([0, 1]);
  expect(extent([3, 3])).toEqual([3, 3]);
});
