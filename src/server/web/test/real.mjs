// What changes the store of a real program: edits of a profile, a text that is coloured while it comes, a person
// who is forgotten.

import { join } from 'node:path';

import { api, checkAxe, openPage } from './browser.mjs';

/** Longest time that a model may take, ms. */
const PATIENCE = 300_000;

export async function checkRealEdits(browser, url, findings, out) {
  const step = async (name, hash, act) => {
    const { page, close } = await openPage(browser, url, findings, name);
    page.setDefaultTimeout(PATIENCE);
    try {
      await page.goto(`${url}/${hash}`);
      await act(page);
      await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
      await checkAxe(page, findings, name);
    } catch (error) {
      findings.check(name, false, error.message.split('\n')[0]);
      await page.screenshot({ path: join(out, `${name}-failed.png`) });
    }
    await close();
  };
  const { users } = await api(url, '/api/users?limit=100');
  // Which statements prove themselves depends on the model and the processor; three are edited.
  const names = users.map((one) => one.user).sort((a, b) => (b === 'harold') - (a === 'harold'));
  let user, before;
  const profile = async () => api(url, `/api/users/${encodeURIComponent(user)}/profile`);
  for (user of names) {
    before = await profile();
    if (before.statements.length > 2) break;
  }

  await step('real-edits', `#/people/${encodeURIComponent(user)}`, async (page) => {
    await page.waitForSelector('article h4');
    const texts = await page.locator('article h4').allInnerTexts();
    findings.check('real-edits: every statement is shown', texts.length === before.statements.length && texts.length > 2, `${texts.length} of ${before.statements.length}`);
    findings.check('real-edits: statements have strips', (await page.locator('.strip').count()) >= texts.length / 2);
    findings.check('real-edits: statements have quotes', (await page.locator('blockquote').count()) > 0);
    const row = (text) => page.locator('article').filter({ hasText: text });
    const version = (n) => page.getByText(`version ${n}`, { exact: true }).waitFor();
    await row(texts[0]).getByRole('button', { name: 'Pin' }).click();
    await version(1);
    await row(texts[0]).getByText('pinned', { exact: true }).waitFor();
    await row(texts[1]).getByRole('button', { name: 'Drop' }).click();
    await version(2);
    await row(texts[1]).getByText('dropped', { exact: true }).waitFor();
    await row(texts[2]).getByRole('button', { name: 'Reword' }).click();
    await page.getByLabel('Statement in your words').fill('Counts everything twice.');
    await page.getByRole('button', { name: 'Save' }).click();
    await version(3);
    await page.getByRole('heading', { name: 'Counts everything twice.' }).waitFor();
    await page.getByRole('button', { name: /Add a statement/ }).click();
    await page.getByLabel('What is true of this person').fill('Writes to water companies.');
    await page.getByRole('button', { name: 'Add a statement' }).click();
    await version(4);
    await page.getByRole('heading', { name: 'Writes to water companies.' }).waitFor();
    await page.screenshot({ path: join(out, 'real-edited.png'), fullPage: true });
    const prompt = await (await fetch(`${url}/api/users/${encodeURIComponent(user)}/profile?format=system-prompt`)).text();
    findings.check('real-edits: the edits reach the exported prompt', prompt.includes('Counts everything twice.') && prompt.includes('Writes to water companies.') && !prompt.includes(texts[1]), prompt.slice(0, 200));
    for (let n = 5; n <= 8; n += 1) {
      await page.getByRole('button', { name: 'Undo' }).click();
      await version(n);
    }
    const after = await profile();
    const kept = (value) => JSON.stringify(value.statements.map((one) => [one.key, one.text, one.standing]));
    findings.check('real-edits: undone, all is as before', kept(after) === kept(before));
  });

  const item = (await api(url, `/api/users/${encodeURIComponent(user)}`)).reviews[1].item;
  await step('real-writing', `#/write?user=${encodeURIComponent(user)}&item=${encodeURIComponent(item)}`, async (page) => {
    await page.getByLabel('Seed').fill('77');
    await page.click('form button.main');
    await page.waitForFunction(() => document.querySelectorAll('.tokens[aria-busy=true] [data-i]').length > 3, null, { polling: 20 });
    await page.screenshot({ path: join(out, 'real-writing-live.png') });
    await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
    const words = await page.locator('[data-i]').count();
    findings.check('real-writing: the whole text is coloured', words > 10, `${words} tokens`);
    await page.locator('[data-i]').nth(5).hover();
    await page.waitForSelector('.detail');
  });

  const last = users.filter((one) => one.user !== user).at(-1).user;
  await step('real-forgotten', `#/people/${encodeURIComponent(last)}`, async (page) => {
    await page.waitForSelector('#apart');
    await page.getByRole('button', { name: /Forget/ }).click();
    await page.getByLabel(`Type ${last}`).fill(last);
    await page.screenshot({ path: join(out, 'real-forget.png') });
    await page.getByRole('button', { name: 'Forget for good' }).click();
    await page.getByText(`${last} is forgotten`).waitFor();
    await page.screenshot({ path: join(out, 'real-receipt.png') });
    await page.getByRole('button', { name: 'Close' }).click();
    await page.waitForSelector('tbody tr');
    await page.waitForSelector('.map canvas');
    findings.check('real-forgotten: gone from the people', (await page.getByRole('link', { name: last, exact: true }).count()) === 0);
    const map = await api(url, '/api/map');
    findings.check('real-forgotten: gone from the map', !map.users.includes(last) && map.users.length === users.length - 1);
  });
}
