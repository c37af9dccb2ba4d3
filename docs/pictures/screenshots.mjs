// Draws the bodies in Chromium and takes the pictures, over the pipe of its DevTools protocol: that needs nothing else.
//
// Usage: node screenshots.mjs WORK [NAME ...]; reads WORK/bodies/<target>/<group>/*.json, writes WORK/png.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [work, ...names] = process.argv.slice(2);

/** A headless Chromium in a time zone and a language that are the same everywhere. */
class Browser {
  #answers = new Map();
  #last = 0;
  #rest = "";

  constructor() {
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--lang=en-US"];
    flags.push("--remote-debugging-pipe", `--user-data-dir=${join(work, "profile")}`);
    const env = { ...process.env, TZ: "UTC", LANG: "en_US.UTF-8" };
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    this.process = spawn("chromium", flags, { env, stdio });
    this.process.stdio[4].setEncoding("utf8").on("data", (text) => this.#read(text));
  }

  #read(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const message of messages.map((message) => JSON.parse(message))) {
      const answer = this.#answers.get(message.id);
      this.#answers.delete(message.id);
      if (message.error) answer?.reject(new Error(message.error.message));
      else answer?.resolve(message.result);
    }
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }));
  }

  async page(file) {
    const { targetId } = await this.call("Target.createTarget", { url: pathToFileURL(file).href });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = (method, params) => this.call(method, params, sessionId);
    const evaluate = async (expression) => {
      const params = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails: wrong } = await page("Runtime.evaluate", params);
      if (wrong) throw new Error(wrong.exception?.description ?? wrong.text);
      return result.value;
    };
    // The target is there before its page: a promise of the empty page before it would be lost.
    while (!(await evaluate(`location.protocol === "file:" && document.readyState === "complete"`))) {
      await new Promise((next) => setTimeout(next, 20));
    }
    return { page, evaluate };
  }
}

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

const browser = new Browser();
try {
  const { page, evaluate } = await browser.page(writePage());
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
