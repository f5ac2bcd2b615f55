// What is shown, the way between the views, and the keys.

const shown = JSON.parse(document.getElementById("shown").textContent);
const page = document.getElementById("page");
const status = h("p", { class: "status", role: "status" });
const content = h("main", { id: "content", tabindex: "-1" });
const views = {};

function say(text) {
  status.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (status.textContent = ""), 4000);
}

if (shown.live || shown.answer) views.ask = new Asking(h("div", {}), shown, say);
if (shown.comparison) views.compare = new Comparing(h("div", {}), shown.comparison, say);
let current = "";

function show(name) {
  current = name;
  content.replaceChildren(views[name].place);
  for (const tab of page.querySelectorAll("[data-view]")) {
    tab.toggleAttribute("aria-current", tab.dataset.view === name);
  }
}

function open(name) {
  show(name);
  writeLink({ view: name, ...(views[name].link ? views[name].link() : views[name].state) });
}

const TITLES = { ask: "Ask", compare: "Compare" };
const HELP = [
  ["/", "to the question, or to the search among queries"], ["j k ↓ ↑", "next and previous passage or query"],
  ["Enter", "open or close a passage"], ["← →", "from word to word in an opened passage"], ["?", "this help"],
];

const help = h("dialog", { "aria-label": "Keys" }, h("h2", {}, "Keys"),
  h("dl", {}, HELP.map(([keys, text]) => [h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text)])),
  h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")));

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") help.showModal();
  if (event.key === "/") {
    event.preventDefault();
    content.querySelector("[data-key=question], [data-key=find]")?.focus();
  }
});

window.addEventListener("hashchange", () => {
  const link = readLink();
  if (link.view && views[link.view]) show(link.view);
  views[current].follow(link);
  views[current].draw();
});

page.replaceChildren(
  h("a", { class: "skip", href: "#content", onclick: (event) => {
    event.preventDefault();
    content.focus();
  } }, "To the content"),
  h("header", { class: "top" },
    h("h1", {}, "polyrank"),
    h("nav", { "aria-label": "Views" }, Object.keys(views).length > 1
      ? Object.keys(views).map((name) => h("button", { type: "button", "data-view": name, onclick: () => open(name) }, TITLES[name]))
      : null),
    h("div", { class: "acts" },
      h("button", { type: "button", onclick: () => copyLink(say) }, "Copy link"),
      h("button", { type: "button", onclick: () => views[current].save() }, "Save as HTML"),
      h("button", { type: "button", "aria-label": "Keys", onclick: () => help.showModal() }, "?"))),
  status, content, help,
);

const first = readLink();
show(views[first.view] ? first.view : Object.keys(views)[shown.comparison && !shown.answer && !shown.live ? Object.keys(views).length - 1 : 0]);
for (const view of Object.values(views)) view.start(first);
