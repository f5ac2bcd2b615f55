// A question to the server: candidates before, their order after, and why.

const OWN = ""; // in place of an index: passages that are typed in
const TOP = 10; // of which shares are told, and which a saved file explains
const EXAMPLE = [
  "Water boils at 100 degrees Celsius at sea level.", "Su deniz seviyesinde 100 derecede kaynar.",
  "Maji huchemka kwa nyuzi joto 100.", "The river is long and cold in winter.",
].join("\n");

class Asking {
  constructor(place, shown, say) {
    Object.assign(this, { place, say, live: shown.live, answer: shown.answer || null });
    this.info = { models: [], indexes: [] };
    this.state = { q: "", ql: "", dl: "", model: "", index: OWN, passages: EXAMPLE, depth: "50", raw: "",
      only: "", list: "1" };
    this.open = new Set();
    this.failure = "";
  }

  async start(link) {
    if (this.live) {
      try {
        this.info = await this.call("info");
      } catch (error) {
        this.failure = error.message;
      }
      this.state.index = this.info.indexes[0]?.name || OWN;
      this.state.model = this.info.models[0]?.name || "";
    }
    this.follow(link);
    if (this.live && this.state.q) await this.ask();
    else this.draw();
  }

  follow(link) {
    for (const key of Object.keys(this.state)) if (link[key] !== undefined) this.state[key] = link[key];
  }

  link() {
    const { passages, ...rest } = this.state;
    return rest.index === OWN && passages !== EXAMPLE ? { passages, ...rest } : rest;
  }

  change(values) {
    Object.assign(this.state, values);
    writeLink({ view: "ask", ...this.link() });
    this.draw();
  }

  // ---------------------------------------------------------------------------------- the server

  async call(route, body) {
    const key = sessionStorage.getItem("key");
    const headers = body ? { "content-type": "application/json" } : {};
    if (key) headers.authorization = `Bearer ${key}`;
    const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
    let answer;
    try {
      answer = await fetch(route, options);
    } catch {
      throw new Error("The server cannot be reached.");
    }
    const found = await answer.json().catch(() => ({}));
    this.locked = answer.status === 401;
    if (!answer.ok) throw new Error(found.message || `The server answered ${answer.status}.`);
    return found;
  }

  async ask() {
    this.waiting = true;
    this.failure = "";
    this.draw();
    try {
      this.answer = await this.answered();
      this.open = new Set();
    } catch (error) {
      this.failure = error.message;
    }
    this.waiting = false;
    this.change({ only: "" });
    this.say(this.failure || `${plural(this.answer.rows.length, "passage")} ranked.`);
  }

  async answered() {
    const { q, ql, dl, model, index, raw } = this.state;
    const begun = performance.now();
    const asked = { query: q, query_language: ql || null };
    const found = index === OWN ? this.typed() : await this.searched(asked);
    if (!found.length) throw new Error(index === OWN ? "Type in some passages first." : "Nothing was found.");
    const documents = found.map(({ id, text, title, language }) => ({ id, text, title, language }));
    const ranked = await this.call("rerank", {
      ...asked, model, documents, raw_scores: Boolean(raw), return_modules: true,
      document_language: index === OWN ? dl || null : null,
    });
    const rows = ranked.results.map((row, place) => ({
      ...found[row.index], key: String(row.index), before: row.index + 1, after: place + 1,
      score: row.relevance_score, language: row.language, identified: row.language_identified,
      cut: row.cut, modules: row.modules,
    }));
    return { query: q, query_language: ranked.query_language, model: ranked.model, rows,
      first: index === OWN ? "as given" : index, milliseconds: performance.now() - begun,
      warnings: ranked.meta.warnings, explanations: {} };
  }

  typed() {
    const lines = this.state.passages.split("\n").map((line) => line.trim()).filter(Boolean);
    return lines.map((text, place) =>
      ({ id: String(place + 1), text, title: "", language: null, first: null }));
  }

  async searched(asked) {
    const { dl, index, depth } = this.state;
    const languages = dl ? dl.split(/[\s,]+/).filter(Boolean) : null;
    const found = await this.call("search", { ...asked, index, languages, top_n: Number(depth) });
    return found.results.map((row) => ({ id: row.id, text: row.document.text, title: row.document.title,
      language: row.language, first: row.score }));
  }

  async explain(row) {
    const { answer } = this;
    if (answer.explanations[row.key] || !this.live) return;
    try {
      const found = await this.call("explain", {
        model: answer.model, query: answer.query, query_language: answer.query_language.language,
        documents: [{ text: row.text, title: row.title, language: row.language }],
      });
      answer.explanations[row.key] = found.results[0];
    } catch (error) {
      answer.explanations[row.key] = { failure: error.message };
    }
  }

  async save() {
    if (!this.answer) return;
    this.say("Explaining the first passages …");
    for (const row of this.answer.rows.slice(0, TOP)) await this.explain(row);
    saveFile("ranking.html", { live: false, comparison: null, answer: this.answer });
    this.say("Saved.");
  }

  // ------------------------------------------------------------------------------------ drawing

  draw() {
    renew(this.place, this.live ? this.form() : null, this.failure ? h("p", { class: "failure", role: "alert" },
      this.failure) : null, this.answer && !this.failure ? this.result() : null);
  }

  form() {
    const { state } = this;
    const keep = (key) => (event) => {
      state[key] = event.target.value;
    };
    const submit = (event) => {
      event.preventDefault();
      if (state.q.trim()) this.ask();
    };
    const choices = [...this.info.indexes.map((one) => [one.name, `index ${one.name}`]), [OWN, "typed in below"]];
    const models = this.info.models.map((one) => [one.name, one.name]);
    const tags = [...new Set(this.info.models.flatMap((one) => one.languages || []))];
    return h(
      "form",
      { class: "card ask", onsubmit: submit },
      h("label", { class: "question" }, h("span", { class: "aloud" }, "Question"),
        h("input", { name: "question", type: "text", dir: "auto", placeholder: "Ask in any language", required: true,
          autocomplete: "off", value: state.q, "data-key": "question", oninput: keep("q") })),
      h("div", { class: "fields" },
        field("Question language", { list: "tags", placeholder: "identified", value: state.ql,
          "data-key": "ql", oninput: keep("ql") }),
        select("Passages", choices, state.index, (index) => this.change({ index })),
        field("Passage language", { list: "tags", placeholder: state.index ? "all" : "identified",
          value: state.dl, "data-key": "dl", oninput: keep("dl") }),
        models.length > 1 ? select("Model", models, state.model, (model) => this.change({ model })) : null,
        h("button", { class: "primary", disabled: this.waiting }, this.waiting ? "Ranking …" : "Rank")),
      state.index === OWN
        ? h("label", { class: "passages" }, h("span", { class: "label" }, "Passages, one a line"),
          h("textarea", { rows: 5, dir: "auto", "data-key": "passages", value: state.passages,
            oninput: keep("passages") }))
        : null,
      this.locked ? field("Key", { type: "password", "data-key": "key",
        onchange: (event) => sessionStorage.setItem("key", event.target.value) }) : null,
      h("datalist", { id: "tags" }, tags.map((tag) => h("option", { value: tag }, languageName(tag)))),
    );
  }

  result() {
    const { answer, state } = this;
    const only = new Set(state.only ? state.only.split(",").map((tag) => (tag === "?" ? "" : tag)) : []);
    const choose = (chosen) => this.change({ only: [...chosen].map((tag) => tag || "?").join(",") });
    const rows = answer.rows.filter((row) => passes(only, row.language));
    const first = [...answer.rows].sort((a, b) => a.before - b.before);
    const tags = (list) => list.map((row) => row.language);
    const lists = [
      ["Before", answer.first, first.filter((row) => rows.includes(row)).map((row) => this.row(row, false))],
      ["After", answer.model, rows.map((row) => this.row(row, true))],
    ].map((list) => [...list, (row) => this.toggle(row)]);
    return h(
      "div",
      { class: "result" },
      this.summary(),
      counts(tags(first)).length > 1
        ? h("div", { class: "card" }, filters("Languages", tags(first), only, choose),
          first.length > TOP ? shares([["Before", tags(first)], ["After", tags(answer.rows)]], TOP) : null)
        : null,
      beside(lists, Number(state.list), (list) => this.change({ list: String(list) })),
    );
  }

  summary() {
    const { answer } = this;
    const { language, identified, confidence } = answer.query_language;
    const sure = identified ? ` (identified, ${percent(confidence || 0)})` : "";
    const raw = h("label", { class: "check" }, h("input", { type: "checkbox", checked: Boolean(this.state.raw),
      "data-key": "raw", onchange: (event) => {
        this.state.raw = event.target.checked ? "1" : "";
        this.ask();
      } }), "raw scores");
    return h(
      "header",
      { class: "summary" },
      h("h2", {}, prose(answer.query, language)),
      h("p", { class: "quiet" }, badge(language), ` ${languageName(language)}${sure} · ${answer.model} · `,
        `${plural(answer.rows.length, "passage")} in ${Math.round(answer.milliseconds)} ms`,
        this.live ? raw : null),
      (answer.warnings || []).map((line) => h("p", { class: "warning" }, line)),
    );
  }

  row(row, after) {
    const open = this.open.has(`${after} ${row.key}`);
    return {
      ...row, place: after ? row.after : row.before, from: after ? row.before : undefined,
      score: after ? row.score : row.first, open, after, detail: open ? this.detail(row) : null,
      explained: open && Boolean(this.answer.explanations[row.key]?.document_text),
    };
  }

  detail(row) {
    const found = this.answer.explanations[row.key];
    const why = found?.failure
      ? h("p", { class: "quiet" }, found.failure)
      : found
        ? explanation(found)
        : h("p", { class: "quiet" }, this.live ? "Explaining …" : "This file holds no explanation of this passage.");
    return [why, modules(row.modules)];
  }

  async toggle(row) {
    const key = `${row.after} ${row.key}`;
    if (!this.open.delete(key)) this.open.add(key);
    this.draw();
    if (this.open.has(key) && this.live && !this.answer.explanations[row.key]) {
      await this.explain(row);
      this.draw();
    }
  }
}

function field(label, attributes) {
  return h("label", { class: "field" }, h("span", {}, label), h("input", { type: "text", autocomplete: "off", ...attributes }));
}
