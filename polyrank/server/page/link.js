// What is shown, in the address and in a file.

function readLink() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function writeLink(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null);
  const hash = `#${new URLSearchParams(kept)}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

async function copyLink(said) {
  try {
    await navigator.clipboard.writeText(location.href);
    said("Link copied.");
  } catch {
    said("The link is in the address bar.");
  }
}

// This page with what it shows, as one file that needs no server.
function saveFile(name, shown) {
  const copy = document.implementation.createHTMLDocument(document.title);
  const parts = ["meta", "style", "title"].flatMap((tag) => [...document.querySelectorAll(`head ${tag}`)]);
  copy.head.replaceChildren(...parts.map((part) => copy.importNode(part, true)));
  copy.documentElement.lang = "en";
  const page = copy.createElement("div");
  page.id = "page";
  const data = copy.createElement("script");
  data.type = "application/json";
  data.id = "shown";
  data.textContent = JSON.stringify(shown).replaceAll("<", "\\u003c");
  copy.body.append(page, data, copy.importNode(document.getElementById("script"), true));
  const text = `<!doctype html>\n${copy.documentElement.outerHTML}`;
  const link = h("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/html" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
