/** Draws the map on a canvas. */

import { Boxes, type Points } from './layout';
import { Raster, rgb } from './raster';

/** Colours of the page, read from its style sheet. */
export interface Colours {
  ink: string;
  soft: string;
  paper: string;
  accent: string;
  second: string;
  line: string;
}

export interface Scene {
  points: Points;
  names: string[];
  /** Zoom: a place p is drawn at p * k + (x, y). */
  zoom: { k: number; x: number; y: number };
  width: number;
  height: number;
  /** The pointed-at point and those that write most like it. */
  lit: number | null;
  near: number[];
  /** Points that a search left; `null`: all. */
  found: Uint8Array | null;
  colours: Colours;
  font: string;
  /** Whether names are drawn inside of large circles. */
  isCells: boolean;
}

/** Maximum number of names on the map, on one with very many points, and of points considered for one. */
const NAMES = 60;
const FEW_NAMES = 24;
const CONSIDERED = 600;
const PALE = 0.16;
/** Number of points from which they are drawn as pixels instead of paths. */
const DENSE = 1500;
const raster = new Raster();

/** Draws a scene; `scale` is the number of device pixels of a pixel. */
export function draw(context: CanvasRenderingContext2D, scene: Scene, scale: number): void {
  const { points, zoom, width, height, colours, lit, found } = scene;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const grow = zoom.k ** 0.4;
  const count = points.x.length;
  const at = (i: number): [number, number] => [
    (points.x[i] ?? 0) * zoom.k + zoom.x,
    (points.y[i] ?? 0) * zoom.k + zoom.y,
  ];
  const visible: number[] = [];
  const isDense = count > DENSE;
  const strong = (lit === null ? 1 : 0.25) * (count > 10 * DENSE ? 0.4 : isDense ? 0.6 : 0.78);
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (isDense) raster.begin(wide, high);
  context.fillStyle = colours.accent;
  context.strokeStyle = colours.paper;
  context.lineWidth = 1;
  // The largest are drawn first, so that small ones lie above them.
  for (let rank = 0; rank < count; rank += 1) {
    const i = points.order[rank] ?? 0;
    const [x, y] = at(i);
    const r = (points.radius[i] ?? 1) * grow;
    if (x < -r || y < -r || x > width + r || y > height + r) continue;
    if (visible.length < CONSIDERED) visible.push(i);
    const opacity = found && !found[i] ? strong * PALE : strong;
    if (isDense) {
      raster.dot(x * scale, y * scale, r * scale, opacity);
      continue;
    }
    context.globalAlpha = opacity;
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
  if (isDense && wide > 0 && high > 0) {
    const image = context.createImageData(wide, high);
    raster.into(image, rgb(colours.accent));
    context.putImageData(image, 0, 0);
  }
  context.globalAlpha = 1;
  if (lit !== null) drawLit(context, scene, at, grow);
  drawNames(context, scene, visible, at, grow);
}

function drawLit(context: CanvasRenderingContext2D, scene: Scene, at: (i: number) => [number, number], grow: number): void {
  const { points, colours, near } = scene;
  const lit = scene.lit ?? 0;
  const [x, y] = at(lit);
  context.strokeStyle = colours.second;
  near.forEach((other, rank) => {
    const [toX, toY] = at(other);
    context.globalAlpha = Math.max(0.3, 0.95 - rank * 0.07);
    context.lineWidth = Math.max(0.75, 2.2 - rank * 0.18);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
  });
  context.globalAlpha = 1;
  for (const other of near) {
    const [toX, toY] = at(other);
    circle(context, toX, toY, Math.max(3, (points.radius[other] ?? 1) * grow), colours.second, colours.paper);
  }
  circle(context, x, y, Math.max(4, (points.radius[lit] ?? 1) * grow + 1), colours.accent, colours.ink);
}

function circle(context: CanvasRenderingContext2D, x: number, y: number, r: number, fill: string, stroke: string): void {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.strokeStyle = stroke;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
}

function drawNames(
  context: CanvasRenderingContext2D,
  scene: Scene,
  visible: number[],
  at: (i: number) => [number, number],
  grow: number,
): void {
  const { points, names, width, height, colours, lit, near, found, isCells } = scene;
  const boxes = new Boxes();
  const first = lit === null ? [] : [lit, ...near];
  const isFirst = new Set(first);
  const rest = lit === null ? visible.filter((i) => !found || found[i]) : [];
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  const most = points.x.length > DENSE && scene.zoom.k < 4 ? FEW_NAMES : NAMES;
  let drawn = 0;
  for (const i of [...first, ...rest]) {
    if (drawn >= most) break;
    const name = short(names[i] ?? '');
    const isStrong = i === lit;
    context.font = isStrong ? `600 ${scene.font}` : scene.font;
    const [x, y] = at(i);
    const r = (points.radius[i] ?? 1) * grow;
    const length = context.measureText(name).width;
    if (isCells && length > 2 * r - 4) continue;
    let left = isCells ? x - length / 2 : x + r + 4;
    if (!isCells && left + length > width - 2) left = x - r - 4 - length;
    if (left < 0 || y < 8 || y > height - 8) continue;
    if (!boxes.add([left - 2, y - 8, left + length + 2, y + 8]) && !isStrong) continue;
    context.strokeStyle = colours.paper;
    context.lineWidth = 3;
    if (!isCells) context.strokeText(name, left, y);
    context.fillStyle = isCells ? colours.paper : isFirst.has(i) || lit === null ? colours.ink : colours.soft;
    context.fillText(name, left, y);
    drawn += 1;
  }
}

const LONGEST = 28;

/** A name that fits on the map, on one line and without control characters. */
function short(name: string): string {
  const plain = name.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  const characters = [...plain];
  return characters.length <= LONGEST ? plain : `${characters.slice(0, LONGEST - 1).join('')}…`;
}
