"""Write the tables of an experiment's results into pages, between two markers.

    python benchmarks/readme_table.py benchmarks/results/transfer.json README.md docs/results.md

What stands between `<!-- table -->` and `<!-- /table -->` is replaced by all of it, and between
`<!-- summary -->` and `<!-- /summary -->` by the few lines that README shows; nothing else is
touched. The table of tests keeps those with p < .05 before the correction; all of them are in the
results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from polyrank.experiments import tables
from polyrank.experiments.report_markdown import table
from polyrank.experiments.results import Results, read_results

GROUPS = {"never seen": "never seen", "thin": "little seen", "well known": "well known"}
SYSTEMS = {  # of the experiment, in the words of README
    "BM25": "BM25",
    "dense": "dense, the base alone",
    "dense, language adapters": "dense, with language modules",
    "late interaction, full fine-tuning": "late interaction, all layers trained, no modules",
    "late interaction, ranking adapter alone": "late interaction, ranking module alone",
    "late interaction, language and ranking adapters": "late interaction, the composition",
}


def block(results: Results) -> str:
    """All tables of the results."""
    kept = {**results, "tests": [t for t in results["tests"] if t["p"] < 0.05]}
    seed, machine, minutes = (results[key] for key in ("seed", "machine", "minutes"))
    made = (
        f"`make transfer`, seed {seed}, {machine}, torch {results['versions']['torch']}, "
        f"{minutes:.0f} minutes."
    )
    asked = "; ".join(
        f"{name}: {g['pairs']} pairs, {g['topics']} topics" for name, g in results["groups"].items()
    )
    parts = [tables.measured(results), f"{asked}. {made}", table(tables.main_table(results))]
    parts += [f"- {line}" for line in tables.missing_lines(results)]
    parts.append(tables.verdict(results))
    if kept["tests"]:
        parts += ["Those with p < .05 before the correction:", table(tables.tests_table(kept))]
    return "\n\n".join(parts)


def summary(results: Results) -> str:
    """The few systems and groups that README shows.

    Raises:
        KeyError: results that lack one of them.
    """
    head, body = tables.main_table(results)
    values = {row[0]: dict(zip(head, row, strict=True)) for row in body}
    rows = [[name, *(values[system][g] for g in GROUPS)] for system, name in SYSTEMS.items()]
    return table(([f"languages that the base … ({head[0]})", *GROUPS.values()], rows))


BLOCKS: Mapping[str, Callable[[Results], str]] = {"table": block, "summary": summary}


def filled(text: str, results: Results) -> str:
    """The text with what stands between its markers made anew.

    Raises:
        ValueError: no marker, one without its end, or one twice.
    """
    names = [name for name in BLOCKS if f"<!-- {name} -->" in text or f"<!-- /{name} -->" in text]
    if not names:
        raise ValueError("no markers")
    for name in names:
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"needs one {begin} and, after it, one {end}")
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}\n{BLOCKS[name](results)}\n{end}{after}"
    return text


def main(source: str, *pages: str) -> None:
    """Fill the pages, or none of them."""
    results, texts = read_results(source), {}
    for page in map(Path, pages):
        try:
            texts[page] = filled(page.read_text(encoding="utf-8"), results)
        except ValueError as error:
            sys.exit(f"{page}: {error}; put <!-- table --> and <!-- /table --> where it belongs")
    for page, text in texts.items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python benchmarks/readme_table.py RESULTS.json PAGE.md ...")
    main(*sys.argv[1:])
