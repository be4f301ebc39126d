// SPDX-License-Identifier: BSD-2-Clause
// What a headless Chromium makes of pictures. "node browser.mjs MODULES flame FILE WORD": clicks, resets and searches in a
// flame graph, and prints the whole weight and the matched percentage. "... diff FILE WORD": prints whether the function's
// frames and others are coloured as grown and shrunk. "... speedscope FILE": opens the file in speedscope and prints the
// self weights of all its profiles' functions as it shows them.
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
  const frame = await page.evaluateHandle(frameOf, word);
  const width = async () => Number(await frame.evaluate((f) => f.querySelector('rect').getAttribute('width')));
  const before = await width();
  await frame.evaluate((f) => f.dispatchEvent(new MouseEvent('click', { bubbles: true })));
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
  const svg = file.endsWith('.svg');
  await (svg ? flameSvg() : flameHtml());
  await page.waitForFunction(() => /%/.test(document.getElementById('matched').textContent));
  console.log(`matched\t${await page.locator('#matched').textContent()}`);
  assert(!(await page.evaluate(() => window.hit)), 'a name was run as a script');
  // What is in names does not get out of them: no element but ours, and nothing that a terminal or a browser obeys.
  const names = await page.evaluate(namesShown);
  assert(names.every((name) => !/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(name)), 'a name has control characters');
  assert((await page.locator('img, iframe, b:has(script)').count()) === 0, 'a name has become an element');
  assert((await page.locator('script').count()) === (svg ? 1 : 2), 'a name has become a script');
  console.log(`total\t${await page.evaluate(wholeWeight)}\nframes\t${names.length}`);
  console.log(`slowest\t${await page.evaluate(slowestStep, word)}`);
}

// These run in the page.
const frameOf = (word) =>
  [...document.querySelectorAll('.f')].find((f) => f.querySelector('title').textContent.startsWith(`${word} (`));
const namesShown = () => {
  if (!window.flame.root) return [...document.querySelectorAll('.f title')].map((title) => title.textContent);
  return window.flame.all().map((node) => node.name);
};
const wholeWeight = () =>
  window.flame.root ? window.flame.root.w : Math.max(...[...document.querySelectorAll('.f')].map((f) => +f.dataset.w));
const slowestStep = (word) => {
  let slowest = 0;
  const steps = [() => window.flame.zoom(word), () => window.flame.reset(), () => window.flame.search(word),
    () => window.flame.search('.')];
  for (const step of steps) {
    const begin = performance.now();
    step();
    document.documentElement.getBoundingClientRect();  // what the browser has to lay out is part of it
    slowest = Math.max(slowest, performance.now() - begin);
  }
  return slowest.toFixed(1);
};
const changes = (word) => {
  if (window.flame.root) return window.flame.all().map((n) => [n.name === word, n.change, n.kind, n.up?.name === word]);
  return [...document.querySelectorAll('.f')].map((f) => {
    const [red, , blue] = f.querySelector('rect').getAttribute('fill').match(/\d+/g).map(Number);
    return [f.querySelector('title').textContent.startsWith(`${word} (`), red - blue, red === 200 ? 'r' : 'u', false];
  });
};

async function diff() {
  await page.goto(pathToFileURL(path.resolve(file)).href);
  const all = (await page.evaluate(changes, word)).filter(([, , kind]) => kind !== 'r');
  const own = all.filter(([is]) => is);
  const which = (some, of) => (some.length === 0 ? 'none' : some.length === of.length ? 'all' : 'some');
  console.log(`grown\t${which(own.filter(([, change]) => change > 0), own)}`);
  console.log(`shrunk\t${which(all.filter(([, change]) => change < 0), [])}`);
  console.log(`change\t${own.reduce((sum, [, change]) => sum + change, 0)}`);
}

// The rows of speedscope's table, when it has drawn them: it puts the profile's name first, and its rows when it can.
async function settledRows() {
  const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  for (let last; ; ) {
    await drawn();
    await page.waitForTimeout(100);
    const rows = await page.locator('table tr').allInnerTexts();
    if (rows.length > 1 && String(rows) === last) return rows;
    last = String(rows);
  }
}

async function speedscope() {
  await page.setViewportSize({ width: 1300, height: 12000 });  // it draws the rows of its table that are seen
  await page.goto(pathToFileURL(path.join(modules, 'node_modules/speedscope/dist/release/index.html')).href);
  await page.locator('input[type=file]').first().setInputFiles(file);
  await page.getByText('Sandwich').click();
  await page.getByText('Symbol Name').waitFor();
  for (let number = 1, last = 1; number <= last; number++) {
    if (number > 1) await page.getByText(`(${number}/${last})`).waitFor();
    for (const row of await settledRows()) {
      const cells = row.split('\n').map((cell) => cell.trim()).filter((cell) => cell);
      if (cells.length === 3 && cells[0].includes('%')) console.log(`${cells[2]}\t${cells[1]}`);
    }
    last = Number((await page.locator('body').innerText()).match(/\(1\/(\d+)\)/)?.[1] ?? last);
    await page.keyboard.press('n');
  }
}

await { flame, diff, speedscope }[what]();
await browser.close();
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length ? 1 : 0);
