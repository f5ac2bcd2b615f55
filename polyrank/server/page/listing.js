// A ranked list: place, move, language, text, score, judgement.

// rows: {key, place, from, id, title, text, language, score, relevance, open, explained, detail}
// from: the place in the other list; null where it is not there; undefined where there is none.
function listing(name, note, rows, toggle) {
  const scores = rows.map((row) => row.score).filter((one) => one !== null);
  const low = Math.min(...scores), high = Math.max(...scores);
  const share = (score) => (score === null ? null : high > low ? (score - low) / (high - low) : 1);
  return h(
    "section",
    { class: "listing", "aria-label": name },
    h("h3", {}, name, note ? h("span", { class: "quiet" }, note) : null),
    rows.length
      ? h("ol", {}, rows.map((row) => item(name, row, share(row.score), toggle)))
      : h("p", { class: "empty" }, "Nothing to show."),
  );
}

function item(name, row, share, toggle) {
  const act = (event) => {
    if (event.type === "click" && !String(getSelection()).length) toggle(row);
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle(row);
    }
  };
  const head = h(
    "div",
    {
      class: "row", role: "button", tabindex: 0, "aria-expanded": String(Boolean(row.open)),
      "data-key": `${name} ${row.key}`, "data-id": row.key, onclick: act, onkeydown: act,
    },
    h("span", { class: "place" }, String(row.place)),
    row.from === undefined ? null : move(row),
    h(
      "span",
      { class: "content" },
      h("span", { class: "about" }, badge(row.language), judgement(row.relevance),
        h("bdi", { class: "id" }, row.id)),
      row.explained ? null : [
        row.title ? prose(row.title, row.language, { class: "title" }) : null,
        prose(row.text, row.language, { class: row.open ? "text" : "text clipped" }),
      ],
    ),
    share === null ? null : h("span", { class: "score", title: "score" }, figure(row.score),
      h("span", { class: "meter" }, h("span", { style: { "inline-size": `${100 * share}%` } }))),
  );
  const marks = { 1: "relevant", 0: "irrelevant" };
  const known = row.relevance === undefined ? "" : marks[row.relevance > 0 ? 1 : 0];
  return h("li", { class: known }, head, row.open ? h("div", { class: "detail" }, row.detail) : null);
}

function move({ from, place }) {
  if (from === null) return h("span", { class: "move new", title: "not in the other list" }, "new");
  const step = from - place;
  if (!step) return h("span", { class: "move same", title: "same place" }, "=");
  const way = step > 0 ? "up" : "down";
  return h(
    "span",
    { class: `move ${way}`, title: `${way} ${Math.abs(step)}, from ${from}` },
    h("span", { "aria-hidden": "true" }, step > 0 ? "▲" : "▼"),
    String(Math.abs(step)),
    h("span", { class: "aloud" }, ` ${way}`),
  );
}

function judgement(relevance) {
  if (relevance === undefined) return null;
  return relevance > 0
    ? h("span", { class: "judged yes" }, relevance > 1 ? `relevant ${relevance}` : "relevant")
    : h("span", { class: "judged no" }, "not relevant");
}

// The same document in both lists lights up together.
function pairUp(place) {
  const light = (event) => {
    const id = event.target.closest?.(".row")?.dataset.id;
    for (const row of place.querySelectorAll(".row")) {
      row.classList.toggle("twin", id !== undefined && row.dataset.id === id);
    }
  };
  for (const name of ["mouseover", "focusin"]) place.addEventListener(name, light);
  place.addEventListener("mouseleave", light);
  place.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    const list = event.target.closest(".row") && event.target.closest("ol");
    if (!step || !list) return;
    event.preventDefault();
    moveFocus([...list.querySelectorAll(".row")], step);
  });
}

// Two lists beside each other; a narrow window shows the one that is chosen.
function beside(lists, shown, choose) {
  const place = h("div", { class: `beside of-${lists.length} shows-${shown}` },
    lists.map(([name, note, rows, toggle]) => listing(name, note, rows, toggle)));
  pairUp(place);
  const names = lists.map(([name], number) => [number, name]);
  return lists.length > 1
    ? [h("div", { class: "which" }, segments("List", names, shown, choose)), place]
    : [place];
}
