"""An experiment's report as one HTML file: no script, no network, prints well."""

from __future__ import annotations

import base64
from html import escape

from polyrank.experiments import tables
from polyrank.experiments.plots import plots
from polyrank.experiments.results import Results

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 70rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin-bottom: .4rem; }
h2 { font-size: 1.3rem; margin-top: 2.4rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin-bottom: .2rem; }
p, li { max-width: 48rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: .8rem 0; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top; }
th { vertical-align: bottom; }
thead th { border-bottom: 2px solid #444; }
tbody tr { border-bottom: 1px solid #e2e2e2; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.best { font-weight: 700; }
td.none { color: #666; }
tr.kept td { background: #eef5fb; }
figure { margin: 1rem 0 2rem; } figure svg, figure img { max-width: 100%; height: auto; }
figcaption, .note { color: #444; font-size: .9rem; max-width: 48rem; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem; line-height: 1.35; }
code { font-size: .88em; overflow-wrap: anywhere; }
.trial { border: 2px solid #D55E00; padding: .5rem .8rem; }
@page { size: A4 landscape; margin: 12mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11px; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  table { max-width: 100%; font-size: 10px; } thead { display: table-header-group; }
  th, td { padding: .2rem .3rem; overflow-wrap: anywhere; } th.n { white-space: normal; }
  td.n, td:first-child { overflow-wrap: normal; }
  .wide table { font-size: 8px; width: 100%; } .wide th, .wide td { padding: 1px 2px; } }
"""
MANY = 12  # columns that a page of A4 holds at the usual size
WITHOUT = (
    "There are no pictures: matplotlib is not installed. Install it with "
    "pip install 'polyrank[plots]' and run the same command again; nothing is measured anew."
)


def html(results: Results) -> str:
    """The whole report."""
    parts = [f"<h1>{escape(results['title'])}</h1>"]
    parts += [_paragraph(results["about"])] if results["about"] else []
    if results["limit"]:
        text = f"A trial with {results['limit']} queries a pair of languages: no result."
        parts.append(f'<p class="trial">{text}</p>')
    parts += [_paragraph(tables.measured(results), "note"), _main(results), _groups(results)]
    parts += _list("Not trained", tables.missing_lines(results))
    chosen = tables.chosen_lines(results)
    parts += _list("Weights chosen on the development collection", chosen)
    parts += _pictures(results)
    parts += ["<h2>Tests</h2>", _paragraph(tables.verdict(results)), _tests(results)]
    parts += ["<h2>Cost</h2>", _table(tables.cost_table(results), numbers=range(1, 5))]
    parts.append(
        _paragraph(
            "Medians over the pairs of languages: wall-clock time of the search and of scoring, "
            "without building indexes or reading modules. A mask changes weights of the base and "
            "adds none.",
            "note",
        )
    )
    collections = tables.collections_table(results)
    parts += ["<h2>Collections</h2>", _table(collections, numbers=range(2, 6))]
    parts += ["<h2>Systems</h2>", _table(tables.settings_table(results))]
    parts.append("<h2>Pairs of languages</h2>")
    for name, pairs in tables.pairs_tables(results):
        parts += [f"<h3>{escape(name)}</h3>", _table(pairs, numbers=range(1, len(pairs[0])))]
    parts += ["<h2>Made by</h2>", _provenance(results)]
    parts.append(f"<details><summary>{escape(results['file']['name'])}</summary>")
    parts.append(f"<pre>{escape(results['file']['text'])}</pre></details>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # An empty icon: else a browser asks for one.
        '<link rel="icon" href="data:,">'
        f"<title>{escape(results['title'])}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _list(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return [f"<h2>{escape(title)}</h2><ul>{items}</ul>"]


def _table(rows: tables.Table, numbers: range = range(0)) -> str:
    """A table; the columns `numbers` stand right."""
    head, body = rows
    kinds = ["n" if column in numbers else "" for column in range(len(head))]
    return _html_table(head, [[(cell, "") for cell in row] for row in body], kinds)


def _html_table(
    head: list[str],
    body: list[list[tuple[str, str]]],
    kinds: list[str],
    rows: list[str] | None = None,
) -> str:
    """A table of (text, class) cells."""
    top = "".join(f'<th class="{k}">{escape(h)}</th>' for h, k in zip(head, kinds, strict=True))
    lines = []
    for number, row in enumerate(body):
        cells = "".join(
            f'<td class="{f"{kind} {own}".strip()}">{escape(text)}</td>'
            for (text, own), kind in zip(row, kinds, strict=True)
        )
        lines.append(f'<tr class="{rows[number] if rows else ""}">{cells}</tr>')
    wide = " wide" if len(head) > MANY else ""
    return (
        f'<div class="scroll{wide}"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _main(results: Results) -> str:
    (head, body), best = tables.main_table(results), tables.best(results)
    cells = [
        [
            (name, ""),
            *(
                (v, "best" if v == best[g] else "" if v[0].isdigit() else "none")
                for g, v in zip(head[1:], values, strict=True)
            ),
        ]
        for name, *values in body
    ]
    return _html_table(head, cells, ["", *["n"] * (len(head) - 1)])


def _groups(results: Results) -> str:
    shown = "; ".join(
        f"{name}: {g['pairs']} pairs, {g['topics']} topics" for name, g in results["groups"].items()
    )
    return _paragraph(f"{shown}. Bold: the highest value of a column, tested or not.", "note")


def _tests(results: Results) -> str:
    head, body = tables.tests_table(results)
    kept = ["kept" if t["p_holm"] < 0.05 else "" for t in results["tests"]]
    kinds = ["", "", *["n"] * (len(head) - 2)]
    shaded = _paragraph("Shaded: p below .05 after the correction.", "note") if any(kept) else ""
    return _html_table(head, [[(c, "") for c in row] for row in body], kinds, kept) + shaded


def _pictures(results: Results) -> list[str]:
    made = plots(results)
    if not made:
        return [_paragraph(WITHOUT, "note")]
    parts = ["<h2>Pictures</h2>"]
    for title, what, svg in made:
        # As an image of its own: its ids and styles cannot meet those of the page.
        data = base64.b64encode(_standalone(svg).encode()).decode()
        parts.append(
            f"<figure><h3>{escape(title)}</h3>"
            f'<img alt="{escape(what)}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{escape(what)}</figcaption></figure>"
        )
    return parts


def _standalone(svg: str) -> str:
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg


def _provenance(results: Results) -> str:
    rows = "".join(
        f"<tr><td>{escape(key)}</td><td><code>{escape(value)}</code></td></tr>"
        for key, value in tables.provenance(results)
    )
    return f"<table><tbody>{rows}</tbody></table>"
