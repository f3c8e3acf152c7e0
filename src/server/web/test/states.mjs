// States that a stranger meets: no store, nobody in it, models being loaded, a key, errors, an answer that breaks off,
// a store that may only be read, someone who is like everybody, someone who is forgotten.

import { join } from 'node:path';

import { checkAxe, checkWidth, openPage } from './browser.mjs';
import { startMock } from './mock.mjs';

const KEY = 'the-right-key-0123456789';

export async function checkStates(browser, findings, out) {
  const state = async (name, mockOptions, hash, act, options = {}) => {
    const mock = await startMock(mockOptions);
    const { page, close, context } = await openPage(browser, mock.url, findings, `state-${name}`, { mayFail: true, ...options });
    try {
      await page.goto(`${mock.url}/${hash}`);
      await act(page, mock, context);
      await checkWidth(page, findings, `state-${name}`);
      await page.screenshot({ path: join(out, `state-${name}.png`) });
      await checkAxe(page, findings, `state-${name}`);
    } catch (error) {
      findings.check(`state-${name}`, false, error.message.split('\n')[0]);
      await page.screenshot({ path: join(out, `state-${name}-failed.png`) });
    }
    await close();
    await mock.close();
  };
  const sees = async (page, text) => page.getByText(text).first().waitFor({ timeout: 15_000 });

  await state('no-store', { hasNoStore: true }, '', (page) => sees(page, 'There are no texts yet'));
  await state('nobody', { isEmpty: true }, '', (page) => sees(page, 'The store of this server is empty'));
  await state('loading', { loadingMs: 2500 }, '', async (page) => {
    await sees(page, 'The models are being loaded');
    await page.waitForSelector('tbody tr');
  });
  await state('slow', { delayMs: 1500 }, '#/people/harold', (page) => page.waitForSelector('[aria-busy=true]'));
  await state('errors', { fails: (path) => path.endsWith('/profile') }, '#/people/harold', async (page) => {
    await sees(page, 'the server could not read the store');
    findings.check('errors: the rest of the view is there', (await page.locator('.texts li').count()) > 0);
  });
  await state('unknown-person', {}, '#/people/nobody', (page) => sees(page, 'Nobody of this name is in the store'));
  await state('unknown-view', {}, '#/nothing', (page) => sees(page, 'There is no such view'));
  await state('no-report', { reports: false }, '#/figures', (page) => sees(page, 'There is no report yet'));
  await state('no-report-narrow', { reports: false }, '#/figures', (page) => sees(page, 'There is no report yet'), { viewport: { width: 360, height: 740 } });
  await state('no-store-narrow', { hasNoStore: true }, '', (page) => sees(page, 'There are no texts yet'), { viewport: { width: 360, height: 740 } });
  await state('report', {}, '#/figures/2026-11-28', async (page) => {
    await page.frameLocator('iframe').getByText('Report of evaluate').waitFor();
  });
  await state('report-with-key', { key: KEY }, '#/figures/2026-11-28', async (page) => {
    await page.getByLabel('Key').fill(KEY);
    await page.keyboard.press('Enter');
    await page.frameLocator('iframe').getByText('Report of evaluate').waitFor();
    findings.check('report-with-key: no key in an address', !(await page.locator('iframe').getAttribute('src')).includes(KEY));
  });
  await state('mapping', { mapStage: 'finding neighbours', people: 2000 }, '', async (page, mock) => {
    await sees(page, 'Finding who writes alike');
    await page.waitForSelector('tbody tr');
    await page.screenshot({ path: join(out, 'state-mapping-first.png') });
    await checkAxe(page, findings, 'state-mapping-first');
    mock.setMapStage('laying out users');
    await sees(page, 'Placing people on the map');
    mock.setMapStage(null);
    await page.waitForSelector('.map canvas');
  });
  await state('answers', { answersMessage: true }, '#/write?user=harold&item=kettle-brisk-15', async (page, mock) => {
    await page.getByLabel('Message to answer').fill('Does the lid still leak?');
    await page.click('form button.main');
    await page.waitForSelector('[data-i]');
    findings.check('answers: the message is sent', mock.bodies.some((body) => body.context === 'Does the lid still leak?'));
  });
  await state('writing', { pace: 90 }, '#/write?user=harold&item=kettle-brisk-15', async (page) => {
    await page.click('form button.main');
    await sees(page, /of the tokens so far/);
    await page.waitForFunction(() => document.querySelectorAll('[data-i]').length > 12);
    findings.check('writing: tokens are coloured as they come', await page.evaluate(() => Boolean(document.querySelector('.tokens[aria-busy=true] .s1, .tokens[aria-busy=true] .s2'))));
    await page.locator('[data-i]').nth(4).hover();
    await page.waitForSelector('.detail');
    await page.screenshot({ path: join(out, 'state-writing-first.png') });
    await page.getByText(/past texts read/).waitFor({ timeout: 60_000 });
    const shift = await page.evaluate(() => window.shift);
    findings.check('writing: nothing jumps while the text grows', shift < 0.05, String(shift));
  });
  await state('comparing', { pace: 60 }, '#/compare?user=harold&item=kettle-brisk-15', async (page) => {
    await page.click('form button.main');
    await sees(page, 'It comes after the texts');
    await page.screenshot({ path: join(out, 'state-comparing-first.png') });
    await page.getByText('What harold really wrote').waitFor({ timeout: 60_000 });
    const shift = await page.evaluate(() => window.shift);
    findings.check('comparing: nothing jumps while the texts grow', shift < 0.05, String(shift));
  });
  await state('breaks-off', { breaksOff: true }, '#/write?user=harold&item=kettle-brisk-15', async (page) => {
    await page.click('form button.main');
    await sees(page, 'the answer took longer than 600 s');
  });
  await state('alike', { isAlike: true }, '#/people/harold', (page) => sees(page, 'None proved itself'));
  await state('read-only', { isReadOnly: true }, '#/people/harold', async (page) => {
    await page.waitForSelector('#apart');
    findings.check('read-only: nothing can be changed', (await page.getByRole('button', { name: /Pin|Drop|Forget/ }).count()) === 0);
  });
  await state('key', { key: KEY }, '', async (page) => {
    await page.getByLabel('Key').fill('the-wrong-key');
    await page.keyboard.press('Enter');
    await sees(page, 'The server does not know this key');
    await page.screenshot({ path: join(out, 'state-key-wrong.png') });
    await page.getByLabel('Key').fill(KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector('tbody tr');
    findings.check('key: not in the address', !page.url().includes('key'));
    const kept = await page.evaluate(() => [JSON.stringify({ ...localStorage }), sessionStorage.getItem('idiolect-key')]);
    findings.check('key: in the storage of the tab only', !kept[0].includes(KEY) && kept[1] === KEY);
  });
  await state('cells', { cells: 180 }, '', async (page) => {
    await sees(page, 'too many for single dots');
    await page.waitForTimeout(300);
  });
  await state('forgotten', {}, '#/people/mina', async (page, mock) => {
    await page.getByRole('button', { name: /Forget/ }).click();
    await page.getByText('vectors').waitFor();
    await page.screenshot({ path: join(out, 'state-forget.png') });
    await checkAxe(page, findings, 'state-forget');
    const forget = page.getByRole('button', { name: 'Forget for good' });
    findings.check('forget: asks for the name', await forget.isDisabled());
    await page.getByLabel(/Type mina/).fill('mina');
    await forget.click();
    await sees(page, 'mina is forgotten');
    findings.check('forget: asked the server', mock.requests.includes('DELETE /api/users/mina'));
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the receipt' }).click()]);
    findings.check('forget: receipt', download.suggestedFilename() === 'receipt-mina.json');
    await page.screenshot({ path: join(out, 'state-receipt.png') });
    await page.getByRole('button', { name: 'Close' }).click();
    await page.waitForSelector('tbody tr');
    findings.check('forget: gone from the people', (await page.getByRole('link', { name: 'mina', exact: true }).count()) === 0);
  });
  await state('export', {}, '#/people/harold', async (page) => {
    await page.waitForSelector('#apart');
    await page.getByText('Export', { exact: true }).click();
    await page.screenshot({ path: join(out, 'state-exporting.png') });
    await checkAxe(page, findings, 'state-exporting');
    for (const [what, file] of [['Everything held', 'harold.json'], ['as a system prompt', 'harold-system-prompt.txt']]) {
      const button = page.getByRole('button', { name: what });
      if (!(await button.isVisible())) await page.getByText('Export', { exact: true }).click();
      const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
      findings.check(`export: ${what}`, download.suggestedFilename() === file, download.suggestedFilename());
    }
  });
  await state('edits', {}, '#/people/harold', async (page) => {
    const row = page.locator('article').filter({ hasText: 'not verified' }).first();
    const text = await row.locator('h4').innerText();
    await row.getByRole('button', { name: 'Pin' }).click();
    const pinned = page.locator('article').filter({ hasText: text });
    await pinned.getByText('pinned', { exact: true }).waitFor();
    await pinned.getByRole('button', { name: 'Reword' }).click();
    await page.getByLabel('Statement in your words').fill('Measures everything twice.');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Measures everything twice.' }).waitFor();
    await page.getByRole('button', { name: /Add a statement/ }).click();
    await page.getByLabel('What is true of this person').fill('Writes to water companies.');
    await page.screenshot({ path: join(out, 'state-adding.png'), fullPage: true });
    await checkAxe(page, findings, 'state-adding');
    await page.getByRole('button', { name: 'Add a statement' }).click();
    await page.getByRole('heading', { name: 'Writes to water companies.' }).waitFor();
    await page.getByText('version 3').click();
    await sees(page, 'reworded: Measures everything twice.');
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('heading', { name: 'Writes to water companies.' }).waitFor({ state: 'detached' });
  });
}
