import { expect, test } from 'vitest';

import { Raster, rgb } from './raster';

/** Opacities of a picture with some dots. */
function picture(width: number, height: number, dots: [number, number, number, number][]): number[] {
  const raster = new Raster();
  raster.begin(width, height);
  for (const dot of dots) raster.dot(...dot);
  const image = { data: new Uint8ClampedArray(4 * width * height) } as ImageData;
  raster.into(image, [1, 2, 3]);
  return Array.from({ length: width * height }, (_, i) => image.data[4 * i + 3] ?? 0);
}

test('a dot covers its area', () => {
  for (const radius of [1, 2.5, 6]) {
    const covered = picture(32, 32, [[16.3, 15.8, radius, 1]]).reduce((a, b) => a + b, 0) / 255;
    expect(covered / (Math.PI * radius * radius)).toBeGreaterThan(0.9);
    expect(covered / (Math.PI * radius * radius)).toBeLessThan(1.12);
  }
});

test('dots at the edge and outside are cut', () => {
  expect(picture(4, 4, [[0, 0, 3, 1]])[0]).toBe(255);
  expect(picture(4, 4, [[-50, -50, 3, 1], [50, 2, 3, 1], [2, 90, 3, 1]]).every((a) => a === 0)).toBe(true);
});

test('dots that overlap are darker, never more than full', () => {
  const middle = (n: number) => picture(9, 9, Array.from({ length: n }, () => [4.5, 4.5, 3, 0.5] as [number, number, number, number]))[40] ?? 0;
  expect([middle(1), middle(2)]).toEqual([128, 191]);
  expect(middle(40)).toBe(255);
});

test('colours are read', () => {
  expect(rgb('#0060a0')).toEqual([0, 96, 160]);
});
