// Texts and names that try to be more than text.

import { join } from 'node:path';

import { checkWidth, openPage } from './browser.mjs';
import { hostileCorpus, startMock } from './mock.mjs';

export async function checkHostile(browser, findings, out) {
  const corpus = hostileCorpus();
  const mock = await startMock({ corpus, longest: 100_000 });
  const users = [...new Set(corpus.reviews.map((review) => review.user))];
  const [item, bare] = [...corpus.items.keys()];
  const at = (user, one) => `user=${encodeURIComponent(user)}&item=${encodeURIComponent(one)}`;
  const views = {
    people: ['#/people', 'tbody tr'],
    items: ['#/items', 'tbody tr'],
    item: [`#/items/${encodeURIComponent(item)}`, '.reviews li'],
    bare: [`#/items/${encodeURIComponent(bare)}`, '.reviews li'],
    write: [`#/write?${at(users[0], item)}`, 'form'],
    compare: [`#/compare?${at(users[0], item)}`, 'form'],
    // The pairs that the seeds 0 to 5 give.
    ...Object.fromEntries(users.map((_, i) => [`guess-${i}`, ['#/guess', '.question article', i / 2 ** 31]])),
    ...Object.fromEntries(users.map((user, i) => [`person-${i}`, [`#/people/${encodeURIComponent(user)}`, '.texts li']])),
  };
  for (const width of [1280, 360]) {
    for (const [view, [hash, ready, random]] of Object.entries(views)) {
      const name = `hostile-${view}-${width}`;
      const { page, close } = await openPage(browser, mock.url, findings, name, { viewport: { width, height: 740 }, ...(random !== undefined && { random }) });
      try {
        await page.goto(`${mock.url}/${hash}`);
        await page.waitForSelector(ready);
        if (view.startsWith('guess')) {
          await page.keyboard.press('1');
          await page.waitForSelector('.verdict strong');
        }
        if (view === 'write' || view === 'compare') {
          await page.click('form button.main');
          await page.waitForSelector(view === 'write' ? '[data-i]' : '.real');
        }
        const found = await page.evaluate(() => ({
          scripts: document.querySelectorAll('main script, main img, main style, main b > script').length,
          bold: document.querySelectorAll('h1 b, td b, .text b').length,
          title: document.title,
        }));
        findings.check(`${name}: texts stay texts`, found.scripts === 0 && found.bold === 0 && found.title.endsWith('Idiolect'), JSON.stringify(found));
        await checkWidth(page, findings, name);
        const more = page.getByRole('button', { name: 'Show more' }).first();
        if (await more.isVisible()) await more.click();
        await page.screenshot({ path: join(out, `${name}.png`) });
      } catch (error) {
        findings.check(name, false, error.message.split('\n')[0]);
      }
      await close();
    }
  }
  // A text of 100 kB, token by token.
  const { page, close } = await openPage(browser, mock.url, findings, 'hostile-long');
  const long = corpus.reviews.findIndex((review) => review.text.length > 90_000);
  const seed = corpus.reviews.filter((review) => review.user === users[1] && review.item !== item).findIndex((review) => review.text.length > 90_000);
  await page.goto(`${mock.url}/#/write?${at(users[1], item)}`);
  await page.getByLabel('Seed').fill(String(Math.max(0, seed)));
  await page.click('form button.main');
  await page.waitForSelector('[data-i]', { timeout: 120_000 });
  const shown = await page.evaluate(() => document.querySelector('.tokens').textContent.length);
  findings.check('a text of 100 kB is shown whole', seed < 0 || shown > 90_000, `${shown} of ${corpus.reviews[long].text.length}`);
  await close();
  await mock.close();
}
