// What in a document answers the query: tokens that match, or sentences that count.

function explanation(record) {
  return record.matches.length ? alignment(record) : contributions(record);
}

// Each token of the query with the token of the document that is most like it.
function alignment(record) {
  const matches = record.matches.filter((one) => one.query && one.document);
  const values = matches.map((one) => one.similarity);
  const low = Math.min(...values), high = Math.max(...values);
  const strength = (value) => (high > low ? 0.15 + (0.85 * (value - low)) / (high - low) : 0.6);
  const best = new Map(); // span of the document → its highest similarity
  for (const { document: span, similarity } of matches) {
    best.set(String(span), Math.max(similarity, best.get(String(span)) ?? -1));
  }
  const said = h("p", { class: "said", "aria-live": "polite" }, hint(matches.length));
  const asked = marked(record.query_text, matches.map((one) => one.query), record.query_language,
    (span) => ({ class: "token asked", "data-query": String(span) }));
  const found = marked(record.document_text, matches.map((one) => one.document),
    record.document_language, (span) => ({
      class: "token found", "data-document": String(span),
      style: { "--strength": strength(best.get(String(span))) },
    }));
  const whole = h("div", { class: "explanation" },
    side("Question", record.query_language, asked),
    side("Passage", record.document_language, found), said);
  const show = (target) => pointed(whole, said, matches, target);
  for (const name of ["mouseover", "focusin"]) {
    whole.addEventListener(name, (event) => show(event.target.closest(".token")));
  }
  for (const name of ["mouseleave", "focusout"]) whole.addEventListener(name, () => show(null));
  whole.addEventListener("keydown", (event) => walk(event, whole));
  return whole;
}

function hint(count) {
  return count ? "Point at a word to see what it matches." : "No word of the question has a match.";
}

// Light up a token with those that belong to it, and say how alike they are.
function pointed(whole, said, matches, target) {
  for (const one of whole.querySelectorAll(".lit")) one.classList.remove("lit");
  whole.classList.toggle("pointing", Boolean(target));
  if (!target) {
    said.textContent = hint(matches.length);
    return;
  }
  const { query, document: found } = target.dataset;
  const linked = matches
    .filter((one) => String(one.query) === query || String(one.document) === found)
    .sort((a, b) => b.similarity - a.similarity);
  for (const one of linked) {
    whole.querySelector(`[data-query="${one.query}"]`)?.classList.add("lit");
    whole.querySelector(`[data-document="${one.document}"]`)?.classList.add("lit");
  }
  said.replaceChildren(...linked.map((one) =>
    h("span", { class: "pair" }, h("bdi", {}, one.query_text), " → ",
      h("bdi", {}, one.document_text), " ", h("b", {}, figure(one.similarity)))));
}

// Arrows go from token to token; only the first of a line is a stop of the tabulator.
function walk(event, whole) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const token = event.target.closest(".token");
  if (!step || !token) return;
  event.preventDefault();
  event.stopPropagation();
  const kind = token.classList.contains("asked") ? ".asked" : ".found";
  moveFocus([...whole.querySelectorAll(kind)], step);
}

// How much the score falls without each sentence.
function contributions(record) {
  const values = record.contributions.map((one) => one.difference);
  const most = Math.max(...values.map(Math.abs), 1e-9);
  const said = h("p", { class: "said", "aria-live": "polite" },
    "Point at a sentence to see how much the score falls without it.");
  const found = marked(record.document_text, record.contributions.map((one) => one.document),
    record.document_language, (span, place) => ({
      class: values[place] < 0 ? "token against" : "token found",
      style: { "--strength": Math.abs(values[place]) / most },
      "data-place": place,
    }));
  const whole = h("div", { class: "explanation" },
    side("Passage", record.document_language, found), said);
  const show = (target) => {
    const place = target?.dataset.place;
    if (place !== undefined) {
      said.textContent = `Without this sentence the score changes by ${signed(-values[place])}.`;
    }
  };
  for (const name of ["mouseover", "focusin"]) {
    whole.addEventListener(name, (event) => show(event.target.closest(".token")));
  }
  return whole;
}

function side(name, language, text) {
  return h("div", { class: "side" }, h("span", { class: "label" }, name, " ", badge(language)), text);
}

// A text with spans of it marked. Spans count code points; the first of overlapping ones is kept.
function marked(text, spans, language, attributes) {
  const letters = [...text];
  const places = new Map();
  spans.forEach((span, place) => {
    if (!places.has(String(span))) places.set(String(span), { span, place });
  });
  const sorted = [...places.values()].sort((a, b) => a.span[0] - b.span[0]);
  const parts = [];
  let end = 0;
  for (const { span, place } of sorted) {
    if (span[0] < end || span[1] <= span[0]) continue;
    parts.push(letters.slice(end, span[0]).join(""));
    parts.push(h("span", { tabindex: parts.length > 1 ? -1 : 0, ...attributes(span, place) },
      letters.slice(...span).join("")));
    end = span[1];
  }
  parts.push(letters.slice(end).join(""));
  return h("p", { class: "marked", dir: "auto", lang: language || null }, parts);
}

// Which module acted on which tokens.
function modules(acting) {
  if (!acting) return null;
  const names = (list) => (list.length ? list.map((one) => h("code", {}, one)) : "none");
  const kind = acting.kind === acting.ranking_kind ? acting.kind : `${acting.kind}, ${acting.ranking_kind}`;
  return h(
    "p",
    { class: "modules" },
    h("span", {}, "Question ", names(acting.query)),
    h("span", {}, "Passage ", names(acting.document)),
    h("span", {}, "Ranking ", acting.ranking ? h("code", {}, acting.ranking) : "none"),
    h("span", {}, "Routing ", h("code", {}, acting.routing)),
    h("span", { class: "quiet" }, `${kind}s over ${acting.base}`),
  );
}
