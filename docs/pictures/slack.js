// Slack: the blocks that the product sends, by the documentation of Block Kit and of mrkdwn.

function slackMessage(message) {
  return framed("2:30 PM", "APP", ...message.blocks.map(slackBlock));
}

function slackBlock(block) {
  switch (block.type) {
    case "header":
      return element("div", "header", block.text.text);
    case "section": {
      const fields = (block.fields ?? []).map((field) => element("div", "field", ...mrkdwn(field.text)));
      if (fields.length > 0) return element("div", "fields", ...fields);
      return element("div", "section", ...mrkdwn(block.text.text));
    }
    case "context":
      return element("div", "context", ...block.elements.map((part) => element("span", "", ...mrkdwn(part.text))));
    default:
      throw new Error(`block ${block.type}`);
  }
}

/** Lines; those of a quotation stand together. */
function mrkdwn(text) {
  const nodes = [];
  let quote;
  for (const [index, line] of text.split("\n").entries()) {
    const quoted = /^(>|&gt;) ?/.exec(line);
    if (quoted) {
      if (!quote) nodes.push((quote = element("blockquote", "")));
      else quote.append(element("br", ""));
      quote.append(...mrkdwnLine(line.slice(quoted[0].length)));
      continue;
    }
    if (index > 0 && !quote) nodes.push(element("br", ""));
    quote = undefined;
    nodes.push(...mrkdwnLine(line));
  }
  return nodes;
}

function mrkdwnLine(text) {
  const nodes = [];
  const pattern = /<([^<>|]+)\|([^<>]*)>|(?<![\p{L}\p{N}])([*_~`])(?=\S)(.*?\S)\3(?![\p{L}\p{N}])/su;
  let rest = text;
  for (let found = pattern.exec(rest); found; found = pattern.exec(rest)) {
    nodes.push(plain(rest.slice(0, found.index)));
    const [all, address, label, mark, inner] = found;
    if (address?.startsWith("!date^")) nodes.push(slackDate(address));
    else if (address) nodes.push(link(plain(address), ...mrkdwnLine(label)));
    else nodes.push(element({ "*": "b", _: "i", "~": "s", "`": "code" }[mark], "", ...mrkdwnLine(inner)));
    rest = rest.slice(found.index + all.length);
  }
  nodes.push(plain(rest));
  return nodes;
}

function plain(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

function slackDate(token) {
  const [, seconds, format] = token.split("^");
  const moment = new Date(Number(seconds) * 1000);
  const day = moment.toLocaleDateString("en-US", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  return format.replace("{date_short_pretty}", day).replace("{time}", clock(moment));
}
