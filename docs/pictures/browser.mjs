// A headless Chromium, driven over the pipe of its DevTools protocol: that needs nothing else.

import { spawn } from "node:child_process";
import { join } from "node:path";

/** A headless Chromium in a time zone and a language that are the same everywhere. */
export class Browser {
  #answers = new Map();
  #last = 0;
  #rest = "";

  constructor(work) {
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

  async page(url) {
    const { targetId } = await this.call("Target.createTarget", { url });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = (method, params) => this.call(method, params, sessionId);
    const evaluate = async (expression) => {
      const params = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails: wrong } = await page("Runtime.evaluate", params);
      if (wrong) throw new Error(wrong.exception?.description ?? wrong.text);
      return result.value;
    };
    // The target is there before its page: a promise of the empty page before it would be lost, and between the two
    // there is nothing to be asked.
    const loaded = `location.protocol !== "about:" && document.readyState === "complete"`;
    while (!(await evaluate(loaded).catch(() => false))) {
      await new Promise((next) => setTimeout(next, 20));
    }
    return { page, evaluate };
  }
}
