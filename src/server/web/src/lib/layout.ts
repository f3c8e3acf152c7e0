/** Positions of points on the map, and what fits on it; free of the page, for tests. */

import { quadtree } from 'd3-quadtree';
import { scaleSqrt } from 'd3-scale';

/** Points in columns: positions in a plane and weights. */
export interface Points {
  x: Float64Array;
  y: Float64Array;
  radius: Float64Array;
  /** Indices, those with the largest weight first. */
  order: Uint32Array;
}

/** Free space around all points, pixels, and where the buttons are: above in a narrow map, else at the right. */
const MARGIN = 28;
const BUTTONS = 44;
const NARROW = 480;

/** Places points in a rectangle, with one scale for both directions, in its middle. */
export function place(x: number[], y: number[], n: number[], wholeWidth: number, wholeHeight: number, isCells = false): Points {
  const isNarrow = wholeWidth < NARROW;
  const head = isNarrow ? Math.min(BUTTONS, wholeHeight / 4) : 0;
  const [width, height] = [wholeWidth - (isNarrow ? 0 : BUTTONS), wholeHeight - head];
  const count = x.length;
  const [left, right] = extent(x);
  const [top, bottom] = extent(y);
  const margin = Math.min(MARGIN, width / 8, height / 8);
  const across = Math.max(right - left, 1e-9);
  const down = Math.max(bottom - top, 1e-9);
  const scale = Math.min((width - 2 * margin) / across, (height - 2 * margin) / down);
  const most = Math.max(1, extent(n)[1]);
  const [least, largest] = radii(count, isCells, width * height);
  const size = scaleSqrt().domain([isCells ? 0 : 1, Math.max(most, 2)]).range([least, largest]);
  const points: Points = {
    x: new Float64Array(count),
    y: new Float64Array(count),
    radius: new Float64Array(count),
    order: new Uint32Array(count),
  };
  for (let i = 0; i < count; i += 1) {
    points.x[i] = width / 2 + ((x[i] ?? 0) - (left + right) / 2) * scale;
    points.y[i] = head + height / 2 + ((y[i] ?? 0) - (top + bottom) / 2) * scale;
    points.radius[i] = size(Math.max(1, n[i] ?? 1));
    points.order[i] = i;
  }
  points.order.sort((a, b) => (n[b] ?? 0) - (n[a] ?? 0) || a - b);
  return points;
}

/** Smallest and largest radius, pixels: dots are smaller the more there are, and cells share the room. */
function radii(count: number, isCells: boolean, area: number): [number, number] {
  if (isCells) return [3, Math.min(42, 0.75 * Math.sqrt(area / Math.max(1, count) / Math.PI))];
  const least = count > 20000 ? 0.9 : count > 2000 ? 1.8 : count > 300 ? 3 : 4.5;
  return [least, least * 2.6];
}

export function extent(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Finds the nearest point to a place. */
export function finder(points: Points): (x: number, y: number, radius: number) => number | null {
  const tree = quadtree<number>()
    .x((i) => points.x[i] ?? 0)
    .y((i) => points.y[i] ?? 0)
    .addAll(Array.from(points.order));
  return (x, y, radius) => tree.find(x, y, radius) ?? null;
}

/** Rectangle of a name: left, top, right, bottom. */
export type Box = [number, number, number, number];

/** Rectangles that do not overlap, found by cells of a grid. */
export class Boxes {
  private readonly cells = new Map<string, Box[]>();
  private readonly size = 64;

  /** Adds a rectangle unless it overlaps another one; says whether it was added. */
  add(box: Box): boolean {
    const keys = this.keys(box);
    const overlaps = (other: Box) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3];
    if (keys.some((key) => this.cells.get(key)?.some(overlaps))) return false;
    for (const key of keys) {
      const cell = this.cells.get(key);
      if (cell) cell.push(box);
      else this.cells.set(key, [box]);
    }
    return true;
  }

  private keys([left, top, right, bottom]: Box): string[] {
    const at = (value: number) => Math.floor(value / this.size);
    const keys: string[] = [];
    for (let column = at(left); column <= at(right); column += 1) {
      for (let row = at(top); row <= at(bottom); row += 1) keys.push(`${column} ${row}`);
    }
    return keys;
  }
}
