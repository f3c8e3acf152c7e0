// Runs the tests of the page in a browser; scripts/test-page says how.
//
//   node test/run.mjs --out FOLDER [--url URL] [--only NAME,...] [--kinds 1280-light,360-dark,...]
//
// With --url the views are also those of a running `idiolect serve`; all else runs on mocks. --kinds
// limits the views to some widths and schemes.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Findings, openBrowser } from './browser.mjs';
import { checkHostile } from './hostile.mjs';
import { checkKeyboard } from './keyboard.mjs';
import { checkMany } from './many.mjs';
import { startMock } from './mock.mjs';
import { checkRealEdits } from './real.mjs';
import { checkStates } from './states.mjs';
import { checkTightViews, checkViews } from './views.mjs';

const { values } = parseArgs({ options: { out: { type: 'string' }, url: { type: 'string' }, only: { type: 'string' }, kinds: { type: 'string' } } });
if (!values.out) throw new Error('--out FOLDER is missing');
mkdirSync(values.out, { recursive: true });
const only = values.only?.split(',');
const kinds = values.kinds?.split(',');
const findings = new Findings();
const browser = await openBrowser();

const onMock = async (work) => {
  const mock = await startMock({});
  await work(mock.url);
  await mock.close();
};
const parts = {
  views: () => onMock((url) => checkViews(browser, url, findings, values.out, 'mock', kinds)),
  tight: () => onMock((url) => checkTightViews(browser, url, findings, values.out, 'mock')),
  states: () => checkStates(browser, findings, values.out),
  keyboard: () => checkKeyboard(browser, findings),
  hostile: () => checkHostile(browser, findings, values.out),
  many: () => checkMany(browser, findings, values.out),
  real: async () => {
    if (!values.url) return;
    await checkViews(browser, values.url, findings, values.out, 'real', kinds);
    await checkRealEdits(browser, values.url, findings, values.out);
  },
};
for (const [name, part] of Object.entries(parts)) {
  if (only && !only.includes(name)) continue;
  const start = Date.now();
  await part();
  process.stderr.write(`${name}: ${Math.round((Date.now() - start) / 1000)} s\n`);
}
await browser.close();
writeFileSync(join(values.out, 'findings.json'), JSON.stringify({ passed: findings.passed, failures: findings.failures, figures: findings.figures }, null, 2));
process.stdout.write(`${findings.passed} checks passed, ${findings.failures.length} failed; ${JSON.stringify(findings.figures)}\n`);
for (const failure of findings.failures) process.stdout.write(`  FAILED ${failure}\n`);
process.exitCode = findings.failures.length > 0 ? 1 : 0;
