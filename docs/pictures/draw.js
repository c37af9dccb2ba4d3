// Shows messages of one target below each other, as its client would.

/** An element with a class, and what stands in it: nodes, or text. */
function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

function link(address, ...children) {
  const made = element("a", "", ...children);
  made.href = address;
  return made;
}

const ROW = { slack: slackMessage, discord: discordMessage, teams: teamsMessage };

/** Draws and tells the size in pixels. */
async function draw(target, messages) {
  const main = document.getElementById("messages");
  main.className = target;
  main.replaceChildren(...messages.map((message) => ROW[target](message)));
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const { width, height } = main.getBoundingClientRect();
  return { width: Math.ceil(width), height: Math.ceil(height) };
}

/** The frame that a client puts around what an app sent. */
function framed(time, badge, ...content) {
  const head = element("div", "head", element("b", "", "Testmo"), element("span", "badge", badge));
  head.append(element("time", "", time));
  return element("article", "", element("div", "avatar", "T"), element("div", "content", head, ...content));
}

const clock = (moment) => moment.toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit", timeZone: "UTC" });
