// SPDX-License-Identifier: BSD-2-Clause
// What a headless Chromium makes of pictures. "node browser.mjs MODULES flame FILE WORD": clicks, resets and searches in a
// flame graph, and prints the matched percentage. "node browser.mjs MODULES speedscope FILE": opens the file in speedscope
// and prints the self weights of all its profiles' functions as it shows them.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const [modules, what, file, word] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, 'x.js'))('playwright-core');
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const args = ['--no-sandbox', '--allow-file-access-from-files'];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
page.setDefaultTimeout(60000);
const complaints = [];
page.on('pageerror', (error) => complaints.push(error.message));
page.on('console', (said) => {
  if (/Failed|Tried to end|still open|wrong/.test(said.text())) complaints.push(said.text());
});
page.on('request', (request) => {
  if (!request.url().startsWith('file:') && !request.url().startsWith('data:')) complaints.push(request.url());
});
const assert = (holds, why) => {
  if (!holds) complaints.push(why);
};

async function flameSvg() {
  const frame = page.locator('.f', { has: page.locator(`title:text-matches("^${word} ")`) }).first();
  const width = async () => Number(await frame.locator('rect').getAttribute('width'));
  const before = await width();
  await frame.dispatchEvent('click');
  assert(Math.abs((await width()) - 1200) < 0.1, `a click does not zoom: ${await width()}`);
  await page.locator('#reset').dispatchEvent('click');
  assert(Math.abs((await width()) - before) < 0.1, 'reset does not zoom out');
  page.once('dialog', (dialog) => dialog.accept(`^${word}$`));
  await page.keyboard.press('/');
}

async function flameHtml() {
  const canvas = page.locator('#graph');
  const shown = () => page.evaluate(() => window.flame.shown());
  const all = await shown();
  const box = await canvas.boundingBox();
  await canvas.click({ position: { x: box.width / 3, y: box.height - 17 - 8 } });  // the row above the root
  assert((await shown()) !== all, 'a click does not zoom');
  await canvas.focus();
  await page.keyboard.press('Escape');
  assert((await shown()) === all, 'Escape does not zoom out');
  await page.keyboard.press('/');
  await page.keyboard.type(`^${word}$`);
}

async function flame() {
  await page.goto(pathToFileURL(path.resolve(file)).href);
  await (file.endsWith('.svg') ? flameSvg() : flameHtml());
  await page.waitForFunction(() => /%/.test(document.getElementById('matched').textContent));
  console.log(await page.locator('#matched').textContent());
}

async function speedscope() {
  await page.goto(pathToFileURL(path.join(modules, 'node_modules/speedscope/dist/release/index.html')).href);
  await page.locator('input[type=file]').first().setInputFiles(file);
  await page.getByText('Sandwich').click();
  await page.getByText('Symbol Name').waitFor();
  for (const row of await page.locator('table tr').allInnerTexts()) {
    const cells = row.split('\n').map((cell) => cell.trim());
    if (cells.length === 3 && cells[0].includes('%')) console.log(`${cells[2]}\t${cells[0]}\t${cells[1]}`);
  }
}

await (what === 'flame' ? flame() : speedscope());
await browser.close();
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length ? 1 : 0);
