// Fills a product with something to show and takes pictures of every screen of its console.
//
// Usage: node screenshots.mjs PROGRAM WORK [NAME ...]; writes WORK/png.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { Browser } from "../pictures/browser.mjs";

const [program, work, ...names] = process.argv.slice(2);
const [http, grpc, admin] = [18080, 18051, 18090];
const base = `http://127.0.0.1:${http}`;
const env = {
  ...process.env,
  TESTMO_WEBHOOKS__HTTP__LISTEN: `127.0.0.1:${http}`,
  TESTMO_WEBHOOKS__GRPC__LISTEN: `127.0.0.1:${grpc}`,
  TESTMO_WEBHOOKS__ADMIN__LISTEN: `127.0.0.1:${admin}`,
  TESTMO_WEBHOOKS__DATA__DIR: join(work, "data"),
  TESTMO_WEBHOOKS__DELIVERY__ALLOW_NETWORKS: '["127.0.0.0/8"]',
  TESTMO_WEBHOOKS__DELIVERY__RETRY_SCHEDULE: '["0s","1s","600s"]',
};

const pause = (ms) => new Promise((next) => setTimeout(next, ms));

async function until(what, look) {
  for (let tries = 0; tries < 300; tries++) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    await pause(100);
  }
  throw new Error(`did not happen: ${what}`);
}

/** An endpoint that answers by its path. */
async function receiver() {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      count += 1;
      const [status, body] = {
        "/jenkins": [200, { jobs: { nightly: { triggered: true, id: 4170 + count } } }],
        "/dashboard": count % 5 === 0 ? [503, { error: "the database is being upgraded" }] : [200, { stored: true }],
        "/old": [410, { error: "this endpoint is gone; see the changelog of the 2026-10 release" }],
      }[request.url] ?? [200, {}];
      setTimeout(() => {
        response.writeHead(status, { "content-type": "application/json", server: "example/1.4", "x-request-id": `r-${count}` });
        response.end(JSON.stringify(body));
      }, 12);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function rest(method, path, body, token) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text).result : undefined;
}

async function publish(events) {
  const args = ["publish", "-f", "-", "--server", `http://127.0.0.1:${grpc}`, "--token-file", join(work, "data/publisher.token")];
  const child = spawn(program, args, { env, stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(events.map((event) => JSON.stringify(event)).join("\n"));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`publish ended with ${code}`);
}

const projects = [{ id: 1, name: "Webshop", url: "https://acme.testmo.net/projects/view/1" }, { id: 2, name: "Mobile app", url: "https://acme.testmo.net/projects/view/2" }];

function run(number) {
  const failed = number % 3 === 0;
  const counts = { total_count: 120, success_count: failed ? 111 : 120, failure_count: failed ? 9 : 0 };
  return {
    event: "run.completed",
    project: projects[number % 2],
    user: { id: 3, name: "Ada Lovelace" },
    data: { run: { id: 500 + number, name: `Release 3.${number} regression`, url: `https://acme.testmo.net/runs/view/${500 + number}`, ...counts }, result: failed ? "failed" : "passed" },
  };
}

/** Webhooks of each kind with some history; a delivery that has failed. */
async function fill(token, port) {
  const url = (path) => `http://127.0.0.1:${port}${path}`;
  const make = (name, path, more) => rest("POST", "/webhooks", { name, url: url(path), type: "generic", events: ["run.completed"], projects: null, allow_insecure: true, ...more }, token);
  const jenkins = await make("Jenkins: nightly end-to-end", "/jenkins", { events: ["run.*", "automation_run.completed"], filter: ["data.result == failed"], headers: { "x-team": "quality" } });
  const dashboard = await make("Quality dashboard", "/dashboard", { events: ["*"] });
  const old = await make("Release notes (old endpoint)", "/old", { projects: [1] });
  const off = await make("Milestones to the wiki", "/wiki", { events: ["milestone.*"], projects: [1, 2] });
  await rest("POST", `/webhooks/${off.id}/deactivate`, undefined, token);
  await publish(Array.from({ length: 40 }, (_, number) => run(number)));
  const failed = await until("a failure", async () => (await rest("GET", `/webhooks/${old.id}/deliveries?status=failed`, undefined, token))[0]);
  await until("all is delivered", async () => (await rest("GET", `/webhooks/${jenkins.id}/deliveries?status=delivered`, undefined, token)).length >= 13);
  await rest("PATCH", `/webhooks/${jenkins.id}`, { name: "Jenkins: nightly" }, token);
  await rest("POST", `/webhooks/${jenkins.id}/test`, undefined, token);
  await rest("POST", "/tokens", { name: "ci pipeline", role: "project_admin", projects: [1, 2], expires_at: "2028-01-01T00:00:00Z" }, token);
  await until("retries are over or wait", async () => (await rest("GET", `/webhooks/${dashboard.id}/deliveries?status=pending`, undefined, token)).length < 3);
  return { jenkins, dashboard, old, failed };
}

const looks = [
  { name: "light", theme: "light", width: 1280, height: 800 },
  { name: "dark", theme: "dark", width: 1280, height: 800 },
  { name: "light-phone", theme: "light", width: 390, height: 844 },
  { name: "dark-phone", theme: "dark", width: 390, height: 844 },
];

const log = openSync(join(work, "log"), "w");
const service = spawn(program, ["standalone"], { env, stdio: ["ignore", log, log] });
const endpoint = await receiver();
let browser;
try {
  const token = await until("the program is ready", async () => {
    if (!(await fetch(`http://127.0.0.1:${admin}/readyz`)).ok) return undefined;
    return readFileSync(join(work, "data/admin.token"), "utf8").trim();
  });
  const { jenkins, dashboard, old, failed } = await fill(token, endpoint.address().port);
  const screens = [
    ["sign-in", "/sign-in"],
    ["webhooks", "/"],
    ["new", "/webhooks/new"],
    ["webhook", `/webhooks/${jenkins.id}`],
    ["projects", `/webhooks/${old.id}#projects`],
    ["deliveries", `/webhooks/${dashboard.id}/deliveries`],
    ["delivery", `/deliveries/${failed.delivery_id}`],
    ["explain", `/webhooks/${jenkins.id}/explain`, `document.querySelector("#sample").value = "run.completed"; document.querySelector("#sample").form.submit()`],
    ["replay", `/webhooks/${old.id}/replays`, `document.querySelector("#from").value = "2020-01-01T00:00:00"; document.querySelector("#from").form.submit()`],
    ["changes", `/webhooks/${jenkins.id}/changes`],
    ["delete", `/webhooks/${old.id}`, `document.querySelector("a.danger").click()`],
    ["all-deliveries", "/deliveries"],
    ["tokens", "/tokens"],
    ["settings", "/settings"],
    ["clear", "/settings", `document.querySelector("a.danger").click()`],
    ["secret", `/webhooks/${old.id}/secret`, `document.querySelector("main form").submit()`],
  ];
  browser = new Browser(work);
  const { page, evaluate } = await browser.page(`${base}/sign-in`);
  const loaded = () => until("the page is loaded", () => evaluate(`document.readyState === "complete"`));
  const open = async (url) => {
    await page("Page.navigate", { url: "about:blank" });
    await page("Page.navigate", { url });
    await loaded();
  };
  for (const look of looks) {
    const { width, height } = look;
    await page("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await page("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: look.theme }] });
    for (const [name, path, action] of screens) {
      const file = `${name}-${look.name}`;
      if (names.length > 0 && !names.some((part) => file.includes(part))) continue;
      if (path !== "/sign-in") {
        await open(`${base}/`);
        if (await evaluate(`location.pathname === "/sign-in"`)) {
          await evaluate(`document.querySelector("#token").value = ${JSON.stringify(token)}; document.querySelector("form").submit()`);
          await until("somebody is signed in", () => evaluate(`location.pathname === "/"`));
        }
      }
      await open(`${base}${path}`);
      if (action) {
        await evaluate(action);
        await pause(500);
        await loaded();
      }
      await pause(250);
      const { cssContentSize: size } = await page("Page.getLayoutMetrics");
      const clip = { x: 0, y: 0, width, height: name === "delete" ? height : Math.min(size.height, 1800), scale: 1 };
      const { data } = await page("Page.captureScreenshot", { clip, captureBeyondViewport: true });
      writeFileSync(join(work, "png", `${file}.png`), Buffer.from(data, "base64"));
    }
  }
  await browser.call("Browser.close");
  await once(browser.process, "exit");
} finally {
  browser?.process.kill();
  service.kill();
  endpoint.close();
  endpoint.closeAllConnections();
}
