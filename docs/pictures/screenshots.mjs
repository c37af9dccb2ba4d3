// Draws the bodies in Chromium and takes the pictures, over the pipe of its DevTools protocol: that needs nothing else.
//
// Usage: node screenshots.mjs WORK [NAME ...]; reads WORK/bodies/<target>/<group>/*.json, writes WORK/png.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Browser } from "./browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const [work, ...names] = process.argv.slice(2);

/** A page with the renderers; the drawing begins with a call to `draw`. */
function writePage() {
  const script = (file) => `<script src="${pathToFileURL(file).href}"></script>`;
  const library = (path) => script(join(work, "node_modules", path));
  const own = ["slack.js", "discord.js", "teams.js", "draw.js"].map((file) => script(join(here, file)));
  const style = `<link rel="stylesheet" href="${pathToFileURL(join(here, "style.css")).href}">`;
  const libraries = ["adaptivecards/dist/adaptivecards.min.js", "markdown-it/dist/browser/markdown-it.umd.min.js"];
  const scripts = [...libraries.map(library), ...own].join("");
  const file = join(work, "page.html");
  writeFileSync(file, `<!doctype html><meta charset="utf-8">${style}${scripts}<main id="messages"></main>`);
  return file;
}

const browser = new Browser(work);
try {
  const { page, evaluate } = await browser.page(pathToFileURL(writePage()).href);
  for (const target of readdirSync(join(work, "bodies"))) {
    for (const group of readdirSync(join(work, "bodies", target))) {
      const name = `${target}-${group}`;
      if (names.length > 0 && !names.some((part) => name.includes(part))) continue;
      const folder = join(work, "bodies", target, group);
      const messages = readdirSync(folder).sort().map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
      const { width, height } = await evaluate(`draw(${JSON.stringify(target)}, ${JSON.stringify(messages)})`);
      const clip = { x: 0, y: 0, width, height, scale: 1 };
      const { data } = await page("Page.captureScreenshot", { clip, captureBeyondViewport: true });
      writeFileSync(join(work, "png", `${name}.png`), Buffer.from(data, "base64"));
    }
  }
  await browser.call("Browser.close");
} finally {
  browser.process.kill();
}
