// Means of each run with their intervals, a row for each group of languages.

const GROUPS = {
  all: "All", "query-language": "Language of question", "document-language": "Language of passage",
  pair: "Pair",
};

function means(comparison, state, change) {
  const by = comparison.groups[state.by] ? state.by : "all";
  const rows = comparison.groups[by].filter((row) => row.measures[state.measure]);
  const ends = rows.flatMap((row) => row.measures[state.measure].means.flat());
  const high = Math.max(...ends, 1e-9), low = Math.min(...ends, 0);
  const at = (value) => `${(100 * (value - low)) / (high - low)}%`;
  return h(
    "section",
    { class: "card means", "aria-label": "Means" },
    h("div", { class: "tools" },
      h("h2", {}, `Mean ${state.measure}`),
      segments("By", Object.keys(comparison.groups).map((key) => [key, GROUPS[key]]), by,
        (value) => change({ by: value }))),
    legend(comparison.runs),
    h("div", { class: "chart" }, rows.map((row) => group(row, comparison, state.measure, by, at))),
    h("p", { class: "quiet" }, "Lines are 95 % bootstrap intervals over topics" +
      (comparison.runs.length > 1 ? "; the difference is marked where its interval leaves out 0." : ".")),
  );
}

function legend(runs) {
  return h("p", { class: "legend" },
    runs.map((name, number) => h("span", { class: `run-${number}` }, h("i", {}), h("bdi", {}, name))));
}

function group(row, comparison, measure, by, at) {
  const { means: values, difference, topics } = row.measures[measure];
  const label = by === "all" ? "All topics" : row.name;
  const title = by === "all" || by === "pair" ? label : languageName(row.name);
  return h(
    "div",
    { class: "group" },
    h("span", { class: "name", title },
      by === "all" ? label : row.name.split("→").map(badge), " ",
      h("span", { class: "quiet" }, String(topics))),
    h("span", { class: "lines" }, values.map(([mean, low, high], number) =>
      h("span", { class: `line run-${number}`, title: spoken(comparison.runs[number], mean, low, high) },
        h("span", { class: "interval", style: { left: at(low), right: `calc(100% - ${at(high)})` } }),
        h("span", { class: "dot", style: { left: at(mean) } }),
        h("span", { class: "aloud" }, spoken(comparison.runs[number], mean, low, high))))),
    h("span", { class: "values" }, values.map(([mean], number) =>
      h("span", { class: `run-${number}` }, figure(mean)))),
    difference ? delta(difference) : null,
  );
}

function spoken(name, mean, low, high) {
  return `${name}: ${figure(mean)}, between ${figure(low)} and ${figure(high)}`;
}

function delta([value, low, high]) {
  const sure = low > 0 ? "up" : high < 0 ? "down" : "same";
  return h("span", { class: `delta ${sure}`, title: `difference, between ${signed(low)} and ${signed(high)}` },
    signed(value));
}
