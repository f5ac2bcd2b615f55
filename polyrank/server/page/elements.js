// Elements of the document. Children that are texts become text nodes: markup in them stays text.

function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (key === "style") setStyles(element, value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined));
  return element;
}

// Widths and places by the object model: the policy allows no style attributes.
function setStyles(element, styles) {
  for (const [name, value] of Object.entries(styles)) element.style.setProperty(name, value);
}

function select(label, options, value, choose) {
  const chosen = h(
    "select",
    { onchange: (event) => choose(event.target.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
  );
  return h("label", { class: "field" }, h("span", {}, label), chosen);
}

// A group of buttons of which one is pressed.
function segments(label, options, value, choose) {
  return h(
    "div",
    { class: "segments", role: "group", "aria-label": label },
    options.map(([key, text]) =>
      h("button", {
        type: "button", "aria-pressed": String(key === value), "data-key": `${label} ${key}`,
        onclick: () => choose(key),
      }, text),
    ),
  );
}

// Put new content in; what had the focus and is there again keeps it.
function renew(place, ...content) {
  const key = document.activeElement?.dataset?.key;
  place.replaceChildren(...content.flat(Infinity).filter(Boolean));
  if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

// Move the focus among elements of one kind: to the next for 1, to the one before for -1.
function moveFocus(elements, step) {
  const place = elements.indexOf(document.activeElement);
  const next = place < 0 ? 0 : place + step;
  elements[Math.max(0, Math.min(elements.length - 1, next))]?.focus();
}
