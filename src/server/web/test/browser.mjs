// A browser whose pages report everything that must not happen.

import { existsSync } from 'node:fs';

import AxeBuilder from '@axe-core/playwright';
import { chromium } from 'playwright-core';

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function openBrowser() {
  const executablePath = [process.env.CHROMIUM, ...BROWSERS].find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium; install it (apt-get install chromium) or name it in CHROMIUM');
  // Without --no-sandbox Chromium does not run as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args: [...args, '--disable-background-networking', '--disable-component-update'] });
}

/** What failed, by the name of the check. */
export class Findings {
  constructor() {
    this.failures = [];
    this.passed = 0;
    this.figures = {};
  }

  check(name, isRight, detail = '') {
    if (isRight) this.passed += 1;
    else {
      this.failures.push(`${name}${detail ? `: ${detail}` : ''}`);
      process.stderr.write(`FAILED ${name} ${detail}\n`);
    }
  }
}

/**
 * Opens a page on a server. It counts as failed: an error or a warning on the console, an exception, a violation
 * of the policy, a request to anywhere else, a page wider than its window. `mayFail`: answers with an error
 * status, which browsers report on the console, are expected. `random`: what Math.random gives.
 */
export async function openPage(browser, url, findings, name, options = {}) {
  const { mayFail = false, random, ...settings } = options;
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 860 }, ...settings });
  const page = await context.newPage();
  const origin = new URL(url).origin;
  const wrong = [];
  const requests = new Set();
  page.on('console', (message) => {
    const isExpected = mayFail && message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isExpected) wrong.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    const address = new URL(request.url());
    requests.add(address.origin);
    if (address.origin !== origin && !['blob:', 'data:'].includes(address.protocol)) wrong.push(`request to ${address.origin}`);
  });
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  if (random !== undefined) await page.addInitScript((value) => { Math.random = () => value; }, random);
  await page.addInitScript(() => {
    window.violations = [];
    window.shift = 0;
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const close = async () => {
    const violations = await page.evaluate(() => window.violations ?? []);
    findings.check(`${name}: nothing forbidden`, wrong.length === 0, wrong.join('; '));
    findings.check(`${name}: no violation of the policy`, violations.length === 0, violations.join('; '));
    await context.close();
  };
  return { page, context, close, requests };
}

/** Checks that nothing is wider than the window, unless it scrolls by itself. */
export async function checkWidth(page, findings, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  findings.check(`${name}: no wider than the window`, wide <= window, `${wide} of ${window} pixels`);
}

/** Checks accessibility by axe-core: WCAG 2.2 AA and good practice. */
export async function checkAxe(page, findings, name) {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
  const told = violations.map((one) => `${one.id} (${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ''}`).join(', ')})`);
  findings.check(`${name}: axe`, violations.length === 0, told.join('; '));
  findings.figures.axe = (findings.figures.axe ?? 0) + violations.length;
}

export const api = async (url, path) => (await fetch(`${url}${path}`)).json();
