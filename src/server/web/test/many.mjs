// 50,000 people on the map: how long frames take while it is zoomed and dragged.

import { join } from 'node:path';

import { openPage } from './browser.mjs';
import { startMock } from './mock.mjs';

/** Frames longer than this are a broken map and not a slow machine, ms. */
const BROKEN = 100;

export async function checkMany(browser, findings, out, people = 50_000) {
  const mock = await startMock({ people });
  const { page, close } = await openPage(browser, mock.url, findings, 'many');
  await page.goto(`${mock.url}/`);
  await page.waitForSelector('.map canvas');
  await page.waitForFunction(() => performance.getEntriesByName('map').length > 0);
  const first = await page.evaluate(() => performance.getEntriesByName('map')[0].duration);
  await page.screenshot({ path: join(out, 'many-1280-light.png') });
  const box = await page.locator('.map canvas').boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.5);
  await page.evaluate(() => {
    performance.clearMeasures('map');
    window.frames = [];
    let before = performance.now();
    const next = (now) => {
      window.frames.push(now - before);
      before = now;
      window.frame = requestAnimationFrame(next);
    };
    window.frame = requestAnimationFrame(next);
  });
  for (let i = 0; i < 60; i += 1) {
    await page.mouse.wheel(0, i < 40 ? -60 : 60);
    await page.waitForTimeout(16);
  }
  await page.mouse.down();
  for (let i = 0; i < 40; i += 1) await page.mouse.move(box.x + box.width * 0.4 + i * 3, box.y + box.height * 0.5 + i);
  await page.mouse.up();
  const [frames, drawn] = await page.evaluate(() => {
    cancelAnimationFrame(window.frame);
    return [window.frames.slice(1), performance.getEntriesByName('map').map((entry) => entry.duration)];
  });
  await page.screenshot({ path: join(out, 'many-zoomed-1280-light.png') });
  const at = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
  const round = (value) => Math.round(value * 10) / 10;
  findings.figures.many = {
    people, first_draw_ms: round(first), frames: frames.length, frame_median_ms: round(at(frames, 0.5)), frame_p95_ms: round(at(frames, 0.95)),
    draws: drawn.length, draw_median_ms: round(at(drawn, 0.5)), draw_p95_ms: round(at(drawn, 0.95)),
  };
  findings.check('many: the map is drawn while it moves', drawn.length > 20, `${drawn.length} draws`);
  findings.check('many: frames', at(drawn, 0.95) < BROKEN, JSON.stringify(findings.figures.many));
  await close();
  await mock.close();
}
