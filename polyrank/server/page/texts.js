// Texts, numbers and languages as people read them.

const NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

function languageName(tag) {
  try {
    return (tag && NAMES.of(tag)) || tag || "unknown";
  } catch {
    return tag;
  }
}

// A language's own hue, the same everywhere.
function hue(tag) {
  let sum = 0;
  for (const letter of tag || "") sum = (sum * 26 + letter.codePointAt(0) - 97) % 997;
  return Math.round(sum * 137.508) % 360; // the golden angle keeps neighbours apart
}

function badge(tag) {
  return h(
    "span",
    { class: tag ? "badge" : "badge unknown", style: { "--hue": hue(tag) }, title: languageName(tag) },
    tag || "?",
  );
}

// Running text of any script: its language shapes it, its first strong letter gives the direction.
function prose(text, language, attributes = {}) {
  if (text === null || text === undefined) {
    return h("span", { ...attributes, class: `${attributes.class || ""} absent` }, "(no text)");
  }
  return h("span", { dir: "auto", lang: language || null, ...attributes }, text);
}

function figure(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
}

function signed(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return (value > 0 ? "+" : "") + figure(value, digits);
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
