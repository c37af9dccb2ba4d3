// Discord: one embed, by the documentation of embeds and of its Markdown.

function discordMessage(message) {
  return framed("Today at 2:30 PM", "APP", ...message.embeds.map(embed));
}

function embed(sent) {
  const card = element("div", "embed");
  card.style.borderLeftColor = `#${sent.color.toString(16).padStart(6, "0")}`;
  card.append(element("div", "author", sent.author.url ? link(sent.author.url, sent.author.name) : sent.author.name));
  const title = inline(sent.title);
  card.append(element("div", "title", sent.url ? link(sent.url, ...title) : element("b", "", ...title)));
  if (sent.description) card.append(element("div", "description", ...markdown(sent.description)));
  if (sent.fields) card.append(fields(sent.fields));
  const time = new Date(sent.timestamp);
  const day = time.toLocaleDateString("en-US", { timeZone: "UTC" });
  card.append(element("div", "footer", [sent.footer?.text, `${day} ${clock(time)}`].filter(Boolean).join(" • ")));
  return card;
}

/** Three to a row where they are inline, as its desktop client does it. */
function fields(sent) {
  const grid = element("div", "fields");
  let row = [];
  const flush = () => {
    const span = 12 / Math.max(row.length, 1);
    for (const field of row) field.style.gridColumn = `span ${span}`;
    row = [];
  };
  for (const { name, value, inline: beside } of sent) {
    const field = element("div", "field", element("b", "", ...inline(name)), element("div", "", ...markdown(value)));
    if (!beside) flush();
    row.push(field);
    grid.append(field);
    if (!beside || row.length === 3) flush();
  }
  flush();
  return grid;
}

function markdown(text) {
  const nodes = [];
  let quote;
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("> ")) {
      // A quotation begins a line of its own; the empty line before it stays one.
      if (!quote && lines[index - 1] === "") nodes.push(element("br", ""));
      if (!quote) nodes.push((quote = element("blockquote", "")));
      else quote.append(element("br", ""));
      quote.append(...inline(line.slice(2)));
      continue;
    }
    if (index > 0 && !quote) nodes.push(element("br", ""));
    quote = undefined;
    nodes.push(...inline(line));
  }
  return nodes;
}

function inline(text) {
  const nodes = [];
  const pattern = /\\([^0-9A-Za-z\s])|\[((?:\\.|[^\]\\])+)\]\(([^)\s]+)\)|\*\*((?:\\.|[^*\\])+)\*\*/su;
  let rest = text;
  for (let found = pattern.exec(rest); found; found = pattern.exec(rest)) {
    const [all, escaped, label, address, bold] = found;
    nodes.push(rest.slice(0, found.index));
    if (escaped) nodes.push(escaped);
    else if (label) nodes.push(link(address, ...inline(label)));
    else nodes.push(element("b", "", ...inline(bold)));
    rest = rest.slice(found.index + all.length);
  }
  nodes.push(rest);
  return nodes;
}
