// One run or two, query by query.

const TAU = "τ-AP";

class Comparing {
  constructor(place, comparison, say) {
    Object.assign(this, { place, comparison, say });
    this.state = { measure: comparison.measures[0], by: "all", order: "difference", query: "",
      asked: "", only: "", find: "", list: "1" };
    this.open = new Set();
  }

  start(link) {
    this.follow(link);
    this.draw();
  }

  follow(link) {
    for (const key of Object.keys(this.state)) if (link[key] !== undefined) this.state[key] = link[key];
    if (!this.comparison.measures.includes(this.state.measure)) this.state.measure = this.comparison.measures[0];
  }

  change(values) {
    if (values.query !== undefined) this.open = new Set();
    Object.assign(this.state, values);
    writeLink({ view: "compare", ...this.state });
    this.draw();
  }

  save() {
    saveFile("comparison.html", { live: false, comparison: this.comparison, answer: null });
    this.say("Saved.");
  }

  // ------------------------------------------------------------------------------------- queries

  get double() {
    return this.comparison.runs.length > 1;
  }

  worth(query) {
    if (this.state.order === "tau") return query.tau_ap;
    const [a, b] = query.values[this.state.measure];
    return this.double ? (a === null || b === null ? null : b - a) : a;
  }

  chosen() {
    const { asked, find, order } = this.state;
    const languages = new Set(asked ? asked.split(",").map((tag) => (tag === "?" ? "" : tag)) : []);
    const words = find.toLowerCase();
    const fits = (query) => passes(languages, query.language) &&
      (!words || `${query.id} ${query.text || ""}`.toLowerCase().includes(words));
    const orders = {
      difference: (a, b) => Math.abs(this.worth(b) ?? -1) - Math.abs(this.worth(a) ?? -1),
      better: (a, b) => (this.worth(b) ?? -9) - (this.worth(a) ?? -9),
      worse: (a, b) => (this.worth(a) ?? 9) - (this.worth(b) ?? 9),
      tau: (a, b) => (a.tau_ap ?? 9) - (b.tau_ap ?? 9),
      id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
    };
    return this.comparison.queries.filter(fits).sort(orders[order] || orders.difference);
  }

  draw() {
    const { comparison, state } = this;
    const queries = this.chosen();
    const query = queries.find((one) => one.id === state.query) || queries[0];
    const scrolled = this.place.querySelector(".queries")?.scrollTop;
    renew(
      this.place,
      h("header", { class: "summary" },
        h("h2", {}, comparison.runs.map((name, number) => [number ? h("span", { class: "quiet" }, " and ") : null,
          h("bdi", { class: `run-${number}` }, name)])),
        h("p", { class: "quiet" }, `${comparison.collection} · ${plural(comparison.query_count, "query", "queries")}`,
          comparison.query_count > comparison.queries.length
            ? `, of which the ${comparison.queries.length} that differ most are listed` : "")),
      this.tools(),
      means(comparison, state, (values) => this.change(values)),
      h("div", { class: "workplace" }, this.list(queries, query), query ? this.query(query) : h("p", { class: "empty" },
        "No query fits.")),
    );
    if (scrolled) this.place.querySelector(".queries").scrollTop = scrolled;
  }

  tools() {
    const { comparison, state } = this;
    return h("div", { class: "tools" },
      segments("Measure", comparison.measures.map((name) => [name, name]), state.measure,
        (measure) => this.change({ measure })));
  }

  list(queries, current) {
    const { comparison, state } = this;
    const orders = [["difference", this.double ? "Difference" : "Highest"],
      ["better", this.double ? `${comparison.runs[1]} better` : "Best"],
      ["worse", this.double ? `${comparison.runs[1]} worse` : "Worst"], ["id", "Id"]];
    if (this.double) orders.splice(3, 0, ["tau", `Lowest ${TAU}`]);
    const asked = new Set(state.asked ? state.asked.split(",").map((tag) => (tag === "?" ? "" : tag)) : []);
    const all = comparison.queries.map((query) => query.language);
    const keys = (event) => {
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      moveFocus([...event.currentTarget.querySelectorAll("button")], step);
    };
    return h("aside", { class: "side-list", "aria-label": "Queries" },
      h("div", { class: "finder" },
        select("Order", orders, state.order, (order) => this.change({ order })),
        field("Find", { type: "search", value: state.find, "data-key": "find", placeholder: "words or id",
          oninput: (event) => this.change({ find: event.target.value }) })),
      filters("Asked in", all, asked, (chosen) => this.change({ asked: [...chosen].map((t) => t || "?").join(",") })),
      h("ul", { class: "queries", onkeydown: keys }, queries.map((query) => this.entry(query, query === current))));
  }

  entry(query, current) {
    const worth = this.worth(query);
    const way = this.state.order === "tau" || !this.double ? "same" : worth > 0 ? "up" : worth < 0 ? "down" : "same";
    const text = this.state.order === "tau" || !this.double ? figure(worth, 2) : signed(worth, 2);
    return h("li", {}, h("button", {
      type: "button", "aria-current": current ? "true" : null, "data-key": `query ${query.id}`,
      onclick: () => this.change({ query: query.id }),
    }, badge(query.language), prose(query.text ?? query.id, query.language, { class: "clipped one" }),
    h("span", { class: `delta ${way}` }, text)));
  }

  // --------------------------------------------------------------------------------- one query

  query(query) {
    const { comparison, state } = this;
    const only = new Set(state.only ? state.only.split(",").map((tag) => (tag === "?" ? "" : tag)) : []);
    const choose = (chosen) => this.change({ only: [...chosen].map((tag) => tag || "?").join(",") });
    const places = query.hits.map((hits) => new Map(hits.map((hit, place) => [hit.id, place + 1])));
    const tags = query.hits.map((hits) => hits.map((hit) => comparison.documents[hit.id].language));
    const lists = query.hits.map((hits, number) => [
      comparison.runs[number],
      this.double ? null : `first ${hits.length}`,
      hits.map((hit) => this.row(query, hit, number, places))
        .filter((row) => passes(only, row.language)),
      (row) => this.toggle(row),
    ]);
    return h(
      "article",
      { class: "query" },
      h("h3", { class: "asked-for" }, prose(query.text ?? query.id, query.language)),
      h("p", { class: "quiet" }, badge(query.language), " ", h("bdi", {}, query.id), ` · ${plural(query.relevant, "relevant passage")}`,
        this.double ? ` · ${TAU} ${figure(query.tau_ap, 2)} · ${this.shared(query)} shared` : ""),
      this.values(query),
      filters("Languages", tags.flat(), only, choose),
      counts(tags.flat()).length > 1
        ? shares(comparison.runs.map((name, number) => [name, tags[number]]), TOP) : null,
      beside(lists, Math.min(Number(state.list), lists.length - 1), (list) => this.change({ list: String(list) })),
    );
  }

  shared(query) {
    const ids = new Set(query.hits[0].map((hit) => hit.id));
    const both = query.hits[1].filter((hit) => ids.has(hit.id)).length;
    return `${both} of ${Math.max(ids.size, query.hits[1].length)}`;
  }

  values(query) {
    const cells = (values) => values.map((value, number) => h("td", { class: `run-${number}` }, figure(value)));
    return h("table", { class: "values" },
      h("thead", {}, h("tr", {}, h("th", {}, "Measure"), this.comparison.runs.map((name, number) =>
        h("th", { class: `run-${number}`, scope: "col" }, h("bdi", {}, name))), this.double ? h("th", {}, "Difference") : null)),
      h("tbody", {}, this.comparison.measures.map((measure) => {
        const [a, b] = query.values[measure];
        const both = this.double && a !== null && b !== null;
        return h("tr", {}, h("th", { scope: "row" }, measure), cells(query.values[measure]),
          this.double ? h("td", { class: `delta ${both && b > a ? "up" : both && b < a ? "down" : "same"}` },
            both ? signed(b - a) : "–") : null);
      })));
  }

  row(query, hit, number, places) {
    const record = this.comparison.documents[hit.id];
    const key = `${number} ${hit.id}`;
    const open = this.open.has(key);
    const other = places[1 - number];
    return {
      ...record, key: hit.id, id: hit.id, place: places[number].get(hit.id), number,
      from: number && other ? (other.get(hit.id) ?? null) : undefined, score: hit.score,
      relevance: query.judged[hit.id], open, detail: open ? this.detail(query, hit.id) : null,
      explained: open && Boolean(this.comparison.explanations?.[query.id]?.[hit.id]),
    };
  }

  detail(query, id) {
    const found = this.comparison.explanations?.[query.id]?.[id];
    return found ? [explanation(found), modules(found.modules)]
      : h("p", { class: "quiet" }, "No explanation was computed of this passage: polyrank view --explain.");
  }

  toggle(row) {
    const key = `${row.number} ${row.key}`;
    if (!this.open.delete(key)) this.open.add(key);
    this.draw();
  }
}
