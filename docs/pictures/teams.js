// Teams: Microsoft's own renderer of Adaptive Cards, with sizes and colours like those of the light theme.

const SIDE = { default: "#242424", subtle: "#616161" };
const colour = (plain) => ({ default: plain, subtle: plain });
const foregroundColors = {
  default: SIDE,
  accent: colour("#5B5FC7"),
  good: colour("#237B4B"),
  warning: colour("#8A6100"),
  attention: colour("#C4314B"),
};
const container = (backgroundColor) => ({ backgroundColor, foregroundColors });

const HOST = {
  fontFamily: "'Segoe UI', 'Open Sans', sans-serif",
  fontSizes: { small: 12, default: 14, medium: 16, large: 18, extraLarge: 24 },
  fontWeights: { lighter: 300, default: 400, bolder: 600 },
  lineHeights: { small: 16, default: 20, medium: 22, large: 24, extraLarge: 32 },
  spacing: { small: 4, default: 8, medium: 16, large: 24, extraLarge: 32, padding: 16 },
  supportsInteractivity: true,
  containerStyles: {
    default: container("#FFFFFF"),
    emphasis: container("#F5F5F5"),
    accent: container("#E8EBFA"),
    good: container("#E7F2DA"),
    attention: container("#FCE9EC"),
    warning: container("#FBF6D9"),
  },
  actions: { maxActions: 6, buttonSpacing: 8, actionsOrientation: "horizontal", actionAlignment: "left" },
};

AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
  // With addresses made into links, which is more than every client of Teams does.
  result.outputHtml = markdownit({ linkify: true }).render(text);
  result.didProcess = true;
};

function teamsMessage(message) {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig(HOST);
  card.parse(message.attachments[0].content);
  return framed("2:30 PM", "", element("div", "card", card.render()));
}
