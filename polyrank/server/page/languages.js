// Languages as filters, with their shares.

function counts(tags) {
  const found = new Map();
  for (const tag of tags) found.set(tag || "", (found.get(tag || "") || 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

// Chips that leave texts of some languages out; none is chosen where all are shown.
function filters(label, tags, chosen, choose) {
  const found = counts(tags);
  if (found.length < 2) return null;
  const toggle = (tag) => {
    const next = new Set(chosen);
    if (!next.delete(tag)) next.add(tag);
    choose(next.size === found.length ? new Set() : next);
  };
  return h(
    "div",
    { class: "filters", role: "group", "aria-label": label },
    h("span", { class: "label" }, label),
    found.map(([tag, count]) =>
      h("button", {
        type: "button", class: "chip", "data-key": `${label} ${tag}`, title: languageName(tag),
        "aria-pressed": String(chosen.has(tag)), onclick: () => toggle(tag),
      }, badge(tag), h("span", {}, String(count)),
      h("span", { class: "quiet" }, percent(count / tags.length))),
    ),
    chosen.size
      ? h("button", { type: "button", class: "plain", "data-key": `${label} all`,
        onclick: () => choose(new Set()) }, "All")
      : null,
  );
}

// The languages of the first documents of each list, as bars beside each other.
function shares(lists, top) {
  return h(
    "div",
    { class: "shares" },
    lists.map(([name, tags]) => {
      const first = tags.slice(0, top);
      return h(
        "div",
        { class: "share" },
        h("span", { class: "label" }, `${name}, first ${first.length}`),
        h(
          "span",
          { class: "bar" },
          counts(first).map(([tag, count]) =>
            h("span", {
              class: "part", title: `${languageName(tag)}: ${count} of ${first.length}`,
              style: { "--hue": hue(tag), "flex-grow": count },
            }, `${tag || "?"} ${percent(count / first.length)}`),
          ),
        ),
      );
    }),
  );
}

function passes(chosen, tag) {
  return !chosen.size || chosen.has(tag || "");
}
