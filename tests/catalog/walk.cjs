// Walks through a catalog in Chromium as a person would: looks, searches, opens a contract and a diff, by keyboard alone, at
// desktop and phone width, light and dark. What is wrong is printed as JSON, a text each; nothing is waited for by time.
"use strict";

const { readFileSync, mkdirSync } = require("node:fs");
const { createRequire } = require("node:module");
const asked = JSON.parse(process.argv[2]);
const load = createRequire(`${asked.modules}/`);
const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
const check = (where, is, what) => is || fault(where, what);

// No serious fault of accessibility, nothing wider than the window.
async function inspect(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], preload: false }));
  for (const { impact, id, nodes } of found.violations) {
    if (impact === "serious" || impact === "critical") fault(where, `axe: ${id}: ${nodes[0].html}: ${nodes[0].failureSummary}`);
  }
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(where, over <= 0, `${over} px wider than the window`);
  check(where, !(await page.evaluate(() => "hacked" in window)), "a text of a contract ran as a script");
  if (asked.shots) {
    mkdirSync(asked.shots, { recursive: true });
    await page.screenshot({ path: `${asked.shots}/${where.replace(/[^a-z0-9]+/gi, "-")}.png`, fullPage: true });
  }
}

const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return {
      text: (element.textContent || element.getAttribute("aria-label") || element.name || "").trim(),
      href: element.getAttribute("href"),
      visible: style.outlineStyle !== "none" && style.outlineWidth !== "0px" && box.width > 0 && box.height > 0,
    };
  });

// Presses Tab until `wanted` has the focus; each element on the way must show that it has it.
async function tabTo(page, where, wanted, most = 60) {
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press("Tab");
    const now = await focused(page);
    check(where, now.visible, `no visible focus on "${now.text}"`);
    if (wanted(now)) return true;
  }
  fault(where, "not reached by Tab");
  return false;
}

// What every size and theme must pass.
async function look(page, where) {
  await page.goto(`${asked.site}index.html`);
  check(where, (await page.locator("#topics > li").count()) === asked.topics, "not all topics are listed");
  await inspect(page, `${where} index`);
  for (const path of asked.pages) {
    await page.goto(`${asked.site}${path}`);
    await inspect(page, `${where} ${path}`);
  }
}

async function byPointer(page) {
  const where = "search";
  await page.goto(`${asked.site}index.html`);
  const search = page.locator("#filters input[type=search]");
  const shown = page.locator("#topics > li:not([hidden])");
  for (const { query, first, count } of asked.searches) {
    await search.fill(query);
    check(where, (await shown.count()) === count, `"${query}" finds ${await shown.count()}, not ${count}`);
    if (count > 0) {
      const found = await shown.first().locator("a").textContent();
      check(where, found === first, `"${query}" finds ${found} first, not ${first}`);
    }
  }
  await search.fill("");
  check(where, (await shown.count()) === asked.topics, "an empty search does not show all");
  if (asked.rpc) {
    await page.locator("select[name=mode]").selectOption("rpc");
    check(where, (await shown.count()) === asked.rpc, `${await shown.count()} are rpc, not ${asked.rpc}`);
    check(where, page.url().includes("mode=rpc"), "the filter is not in the address");
    await page.reload();
    check(where, (await shown.count()) === asked.rpc, "the filter is gone after a reload");
  }
  if (asked.diff) {
    // From the list to a contract, from there to what changed.
    await page.goto(`${asked.site}index.html?q=${asked.diff.topic}`);
    await shown.first().locator("a").click();
    check("diff", (await page.locator("h1").textContent()) === asked.diff.topic, "the click led elsewhere");
    await page.locator("#changes a").click();
    await page.locator(`section[id="${asked.diff.version}"] .diff pre`).waitFor();
    const text = await page.locator(`section[id="${asked.diff.version}"]`).textContent();
    for (const said of asked.diff.says) check("diff", text.includes(said), `it does not say "${said}": ${text}`);
    await page.locator(`section[id="${asked.diff.version}"] .diff summary`).click();
    check("diff", !(await page.locator(".diff pre").first().isVisible()), "it does not fold");
  }
}

async function byKeyboard(page) {
  const where = "keyboard";
  await page.goto(`${asked.site}index.html`);
  await page.keyboard.press("Tab");
  check(where, (await focused(page)).href === "#main", "the first Tab does not lead to the skip link");
  await page.keyboard.press("/");
  await page.keyboard.type(asked.searches[0].query);
  await page.locator("#topics > li:not([hidden])").first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/topics/**");
  check(where, (await page.locator("h1").textContent()) === asked.searches[0].first, "Enter opened another topic");
  // Rust and Python are tabs: one stop, arrows within.
  if (await tabTo(page, where, (now) => now.text === "Rust")) {
    await page.keyboard.press("ArrowRight");
    check(where, (await focused(page)).text === "Python", "the arrow does not lead to Python");
    check(where, await page.locator("#python").isVisible(), "Python is not shown");
    check(where, !(await page.locator("#rust").isVisible()), "Rust is still shown");
  }
  await page.reload();
  check(where, await page.locator("#python").isVisible(), "the language is forgotten");
  const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await theme();
  if (await tabTo(page, where, (now) => now.text.startsWith("Switch to"))) {
    await page.keyboard.press("Enter");
    check(where, (await theme()) !== before, "the theme does not change");
    const chosen = await theme();
    await page.reload();
    check(where, (await theme()) === chosen, "the theme is forgotten");
  }
}

(async () => {
  const browser = await chromium.launch({ executablePath: asked.chromium, args: ["--no-sandbox"] });
  const open = async (width, height, colorScheme) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) fault(page.url(), `console: ${message.text()}`);
    });
    page.on("pageerror", (error) => fault(page.url(), `script: ${error.message}`));
    page.on("dialog", (dialog) => {
      fault(page.url(), "a dialog opened");
      dialog.dismiss();
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(asked.site) && !request.url().startsWith("data:")) fault(page.url(), `asked for ${request.url()}`);
    });
    return page;
  };
  try {
    for (const [width, height] of [[1280, 900], [390, 844]]) {
      for (const scheme of ["light", "dark"]) {
        const page = await open(width, height, scheme);
        await look(page, `${width} ${scheme}`);
        await page.context().close();
      }
    }
    if (asked.searches.length > 0) {
      await byPointer(await open(1280, 900, "light"));
      await byKeyboard(await open(1280, 900, "light"));
    }
  } catch (error) {
    fault("the walk", error.stack);
  }
  await browser.close();
  console.log(JSON.stringify(faults));
})();
