// What the pages can do beyond links and forms: each part looks for its marks, and without this file all still works.

const toast = document.querySelector(".toast");
let toastEnd;

/** Says something in a few words, to eyes and screen readers. */
function say(text) {
  toast.textContent = text;
  clearTimeout(toastEnd);
  toastEnd = setTimeout(() => { toast.textContent = ""; }, 3000);
}

/** The text of an element as it was before signs were put in the place of what cannot be seen. */
function original(element) {
  const { raw } = element.dataset;
  if (raw === undefined) return element.dataset.plain ?? element.textContent;
  return new TextDecoder().decode(Uint8Array.from(atob(raw), (letter) => letter.charCodeAt(0)));
}

async function copy(button) {
  const element = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(original(element));
    say("Copied to clipboard");
  } catch {
    // Not permitted, or not over TLS: what is selected can be copied by hand.
    getSelection().selectAllChildren(element);
    say(document.execCommand("copy") ? "Copied to clipboard" : "Selected; copy it with the keyboard");
  }
}

/** Shows JSON with line ends and indents, or again as it was sent. */
function format(button) {
  const element = document.getElementById(button.dataset.format);
  const formatted = button.getAttribute("aria-pressed") === "true";
  if (formatted) {
    element.textContent = element.dataset.plain;
    delete element.dataset.plain;
  } else {
    let text;
    try {
      text = JSON.stringify(JSON.parse(element.textContent), null, 2);
    } catch {
      return say("This is not JSON");
    }
    element.dataset.plain = element.textContent;
    element.textContent = text;
  }
  button.setAttribute("aria-pressed", String(!formatted));
}

/** Shows what a page asks in a dialog of this one; its forms are those of the page. */
async function ask(link) {
  const answer = await fetch(link.href, { headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const section = page.querySelector("[data-confirm]");
  if (!answer.ok || !section) return location.assign(link.href);
  const dialog = document.createElement("dialog");
  const title = section.querySelector("h1");
  title.id = "dialog-title";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.append(document.importNode(section, true));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  for (const cancel of dialog.querySelectorAll("[data-cancel]")) {
    cancel.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  }
  document.body.append(dialog);
  enhance(dialog);
  dialog.showModal();
}

/** Ticks all events of a group, or none. */
function selectAll(button) {
  const boxes = [...button.closest("fieldset").querySelectorAll(".one input")];
  const all = boxes.every((box) => box.checked);
  for (const box of boxes) box.checked = !all;
}

/** Follows a part of the page as the server writes it; not while nobody looks. */
function follow(element) {
  const state = document.querySelector("[data-live-state]");
  let source;
  let over = false;
  const show = (on) => {
    if (!state) return;
    state.hidden = false;
    state.classList.toggle("on", on);
    state.textContent = on ? "Live" : "Not live";
  };
  const put = (event) => {
    // Somebody may be reading, or about to press a button.
    const open = [...element.querySelectorAll("details[id]")].map((details) => [details.id, details.open]);
    const focused = element.contains(document.activeElement) && keyOf(document.activeElement);
    element.innerHTML = JSON.parse(event.data);
    for (const [id, isOpen] of open) document.getElementById(id)?.toggleAttribute("open", isOpen);
    enhance(element);
    if (focused) [...element.querySelectorAll("a, button, summary")].find((other) => keyOf(other) === focused)?.focus();
  };
  const stop = () => { source?.close(); source = undefined; show(false); };
  const end = (event) => { over = true; if (event.type === "last") put(event); stop(); };
  const start = () => {
    if (source || over) return;
    source = new EventSource(element.dataset.live);
    source.addEventListener("open", () => show(true));
    source.addEventListener("error", () => show(false));
    source.addEventListener("part", put);
    source.addEventListener("last", end);
    source.addEventListener("gone", end);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", () => { if (!document.hidden) start(); });
  start();
}

/** What an element is recognised by after its surroundings were written anew. */
function keyOf(element) {
  return `${element.tagName} ${element.getAttribute("href") ?? element.closest("form")?.action ?? element.closest("[id]")?.id} ${element.textContent}`;
}

/** The panels of a form, of which one is shown: the one that the address names, or that has a mistake. */
function panels(container) {
  const all = [...container.querySelectorAll(":scope > .panel")];
  const links = [...document.querySelectorAll(".tabs a")].filter((link) => all.some((panel) => link.hash === `#${panel.id}`));
  const show = (wanted) => {
    for (const panel of all) panel.classList.toggle("open", panel === wanted);
    for (const link of links) {
      if (link.hash === `#${wanted.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  const named = () => all.find((panel) => `#${panel.id}` === location.hash);
  show(all.find((panel) => panel.querySelector(".error")) ?? named() ?? all[0]);
  addEventListener("hashchange", () => {
    const target = document.getElementById(location.hash.slice(1));
    const panel = all.find((panel) => panel === target || panel.contains(target));
    if (panel) show(panel);
  });
  // The browser would tell of a mistake in a field that cannot be seen.
  container.addEventListener("invalid", (event) => {
    const panel = event.target.closest(".panel");
    if (panel && !panel.classList.contains("open")) show(panel);
  }, true);
}

/** Arrow keys go from tab to tab. */
function tabKeys(tabs) {
  tabs.addEventListener("keydown", (event) => {
    const links = [...tabs.querySelectorAll("a")];
    const index = links.indexOf(document.activeElement);
    const target = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: links.length - 1 }[event.key];
    if (index < 0 || target === undefined) return;
    event.preventDefault();
    links[(target + links.length) % links.length].focus();
  });
}

/** Gives an element and what is in it its powers. */
function enhance(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  for (const button of root.querySelectorAll("[data-format]")) {
    button.hidden = false;
    button.addEventListener("click", () => format(button));
  }
  for (const button of root.querySelectorAll("[data-select-all]")) {
    button.hidden = false;
    button.addEventListener("click", () => selectAll(button));
  }
  for (const link of root.querySelectorAll("a[data-dialog]")) {
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      ask(link).catch(() => location.assign(link.href));
    });
  }
  for (const form of root.querySelectorAll("form[method=post]")) {
    // Pressed twice, it is sent once.
    form.addEventListener("submit", (event) => {
      if (form.ariaBusy === "true") event.preventDefault();
      form.ariaBusy = "true";
    });
  }
}

enhance(document);
for (const element of document.querySelectorAll("[data-live]")) follow(element);
for (const container of document.querySelectorAll(".panels")) panels(container);
for (const tabs of document.querySelectorAll(".tabs")) tabKeys(tabs);
// Loading a page anew that was posted would do again what was done.
const instead = document.querySelector("[data-instead]");
if (instead) history.replaceState(null, "", instead.dataset.instead);
// A page that comes back from memory can be used again.
addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form")) form.ariaBusy = null; });
