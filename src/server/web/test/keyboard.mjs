// A walk through the page without a mouse.

import { openPage } from './browser.mjs';
import { startMock } from './mock.mjs';

export async function checkKeyboard(browser, findings) {
  const mock = await startMock({});
  const { page, close } = await openPage(browser, mock.url, findings, 'keyboard');
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.id || '');
  const press = async (key, times = 1) => {
    for (let i = 0; i < times; i += 1) await page.keyboard.press(key);
  };
  const is = async (name, expected) => findings.check(`keyboard: ${name}`, (await focused()) === expected, `focus on "${await focused()}"`);
  try {
    await page.goto(`${mock.url}/`);
    await page.waitForSelector('tbody tr');
    await press('Tab');
    await is('the first stop skips to the content', 'Skip to the content');
    await press('Tab', 2);
    await is('then the views', 'People');
    // Every stop has a visible mark.
    for (let i = 0; i < 30; i += 1) {
      await press('Tab');
      const seen = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element || element === document.body) return true;
        const style = getComputedStyle(element);
        const box = element.getBoundingClientRect();
        return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0;
      });
      findings.check('keyboard: focus is visible', seen, await focused());
    }
    await page.locator('#people-search').focus();
    await page.keyboard.type('har');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    await press('Tab', 2);
    await is('from the search to the person', 'harold');
    await press('Enter');
    await page.waitForSelector('#apart');
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
    await is('a new view begins at its title', 'harold');

    await page.goto(`${mock.url}/#/write`);
    await page.getByLabel('Person').focus();
    await page.keyboard.type('edi');
    await page.getByRole('option', { name: /edith/ }).waitFor();
    await press('Enter');
    findings.check('keyboard: a person is chosen', (await page.getByLabel('Person').inputValue()) === 'edith');
    await press('Tab');
    await press('ArrowDown');
    await page.getByRole('option').nth(1).waitFor();
    await press('ArrowDown', 2);
    await press('Enter');
    findings.check('keyboard: an item is chosen', (await page.getByLabel('About').inputValue()) !== '');
    await press('ArrowDown');
    await page.getByRole('listbox').waitFor();
    await press('Escape');
    findings.check('keyboard: Escape closes the list', (await page.getByRole('listbox').count()) === 0);
    await page.getByRole('button', { name: 'Write', exact: true }).focus();
    await press('Enter');
    await page.waitForSelector('[data-i]');
    await page.locator('.tokens').focus();
    await press('ArrowRight', 2);
    const third = await page.locator('[data-i]').nth(2).innerText();
    findings.check('keyboard: arrows move through the text', (await page.locator('.detail .word').innerText()) === third);
    await press('ArrowDown');
    findings.check('keyboard: down moves by lines', (await page.locator('.active').boundingBox()).y > (await page.locator('[data-i="2"]').boundingBox()).y);
    await press('End');
    findings.check('keyboard: End is the last word', (await page.locator('.active').getAttribute('data-i')) === (await page.locator('[data-i]').last().getAttribute('data-i')));
    await press('Escape');
    findings.check('keyboard: Escape leaves the words', (await page.locator('.active').count()) === 0);
    await page.getByLabel('Strength').focus();
    const asked = mock.requests.filter((one) => one === 'POST /api/write').length;
    await press('ArrowRight');
    await page.waitForFunction(() => document.querySelector('output')?.textContent === '1.25');
    await page.waitForSelector('[data-i]');
    findings.check('keyboard: the slider writes anew', mock.requests.filter((one) => one === 'POST /api/write').length === asked + 1);

    await page.goto(`${mock.url}/#/guess`);
    await page.waitForSelector('.question article');
    await press('2');
    await page.waitForSelector('.verdict strong');
    await is('after an answer, the next pair', 'Next pair');
    await press('n');
    await page.getByText('Keys: 1 and 2').waitFor();

    await page.goto(`${mock.url}/#/people/joy`);
    await page.getByRole('button', { name: /Forget/ }).focus();
    await press('Enter');
    await page.getByLabel(/Type joy/).waitFor();
    findings.check('keyboard: the dialog holds the focus', await page.evaluate(() => Boolean(document.activeElement?.closest('dialog'))));
    await press('Escape');
    await page.waitForSelector('dialog', { state: 'detached' });
    findings.check('keyboard: Escape closes the dialog', (await focused()).startsWith('Forget'), await focused());
  } catch (error) {
    findings.check('keyboard walk', false, `${error.message.split('\n')[0]} at ${page.url()}`);
  }
  await close();
  await mock.close();
}
