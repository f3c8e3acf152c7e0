// Every view in two widths, light and dark: a screenshot, axe, no overflow, no jumps of the layout.

import { join } from 'node:path';

import { api, checkAxe, checkWidth, openPage } from './browser.mjs';

/** Longest time that a model may take, ms. */
const PATIENCE = 300_000;
/** Sum of layout shifts (CLS) that counts as good on the web. */
const STEADY = 0.1;

const SIZES = [
  { width: 1280, height: 860 },
  { width: 360, height: 740 },
];

/** What is done in each view until it shows all it has. */
export async function viewSteps(url) {
  const { users } = await api(url, '/api/users?limit=100');
  const user = (users.find((one) => one.user === 'harold') ?? users[0]).user;
  const texts = await api(url, `/api/users/${encodeURIComponent(user)}`);
  const item = texts.reviews[0].item;
  const { reports } = await api(url, '/api/evaluations');
  const q = `user=${encodeURIComponent(user)}&item=${encodeURIComponent(item)}`;
  const wait = (page, what) => page.waitForSelector(what, { timeout: PATIENCE });
  return {
    people: ['#/people', async (page) => {
      await wait(page, 'tbody tr');
      await wait(page, '.map canvas');
      await page.waitForTimeout(300);
      await page.locator('tbody tr a').nth(2).focus();
      await page.waitForTimeout(500);
    }],
    person: [`#/people/${encodeURIComponent(user)}`, async (page) => {
      await wait(page, '#apart');
      await wait(page, '.texts li');
    }],
    items: ['#/items', (page) => wait(page, 'tbody tr')],
    item: [`#/items/${encodeURIComponent(item)}?user=${encodeURIComponent(user)}`, (page) => wait(page, '.clusters article')],
    write: [`#/write?${q}`, async (page) => {
      await page.click('form button.main');
      await wait(page, '[data-i]');
      await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'), null, { timeout: PATIENCE });
      await page.locator('[data-i]').nth(3).hover();
    }],
    compare: [`#/compare?${q}`, async (page) => {
      await page.click('form button.main');
      await wait(page, '.texts article');
      await page.waitForFunction(() => !document.querySelector('.texts[aria-busy=true]'), null, { timeout: PATIENCE });
    }],
    guess: ['#/guess', async (page) => {
      await wait(page, '.question article');
      await page.keyboard.press('1');
      await wait(page, '.verdict strong');
    }],
    figures: ['#/figures', (page) => wait(page, 'main .empty, main li')],
    ...(reports[0] && {
      report: [`#/figures/${encodeURIComponent(reports[0].id)}`, async (page) => {
        await page.frameLocator('iframe').locator('h1').waitFor({ timeout: PATIENCE });
        await page.waitForTimeout(300);
      }],
    }),
  };
}

/** `kinds`: widths and schemes, e.g. `1280-light`; all if absent. */
export async function checkViews(browser, url, findings, out, label, kinds) {
  const steps = await viewSteps(url);
  for (const viewport of SIZES) {
    for (const colorScheme of ['light', 'dark']) {
      if (kinds && !kinds.includes(`${viewport.width}-${colorScheme}`)) continue;
      for (const [view, [hash, act]] of Object.entries(steps)) {
        const name = `${label}-${view}-${viewport.width}-${colorScheme}`;
        const { page, close } = await openPage(browser, url, findings, name, { viewport, colorScheme });
        await page.goto(`${url}/${hash}`);
        try {
          await act(page);
          await checkWidth(page, findings, name);
          const shift = await page.evaluate(() => window.shift);
          findings.figures.largest_shift = Math.max(findings.figures.largest_shift ?? 0, shift);
          findings.check(`${name}: the layout does not jump`, shift < STEADY, String(shift));
          await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
          await checkAxe(page, findings, name);
        } catch (error) {
          findings.check(name, false, error.message.split('\n')[0]);
          await page.screenshot({ path: join(out, `${name}-failed.png`) });
        }
        await close();
      }
    }
  }
}

/** The same views where space or colours are short: 320 px, 200 % zoom, colours of the system, German. */
export async function checkTightViews(browser, url, findings, out, label) {
  const kinds = {
    320: { viewport: { width: 320, height: 640 } },
    zoomed: { viewport: { width: 640, height: 430 }, deviceScaleFactor: 2 },
    forced: { forcedColors: 'active', reducedMotion: 'reduce' },
    german: { locale: 'de-DE', viewport: { width: 360, height: 740 } },
  };
  const steps = await viewSteps(url);
  for (const [kind, options] of Object.entries(kinds)) {
    for (const [view, [hash, act]] of Object.entries(steps)) {
      const name = `${label}-${view}-${kind}`;
      const { page, close } = await openPage(browser, url, findings, name, options);
      await page.goto(`${url}/${hash}`);
      try {
        await act(page);
        await checkWidth(page, findings, name);
        if (kind === 'german') findings.check(`${name}: language`, (await page.getAttribute('html', 'lang')) === 'de');
        await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
      } catch (error) {
        findings.check(name, false, error.message.split('\n')[0]);
      }
      await close();
    }
  }
}
