"""An experiment's report in Markdown."""

from __future__ import annotations

from polyrank.experiments import tables
from polyrank.experiments.results import Results


def markdown(results: Results) -> str:
    """The whole report."""
    groups = "; ".join(
        f"{name}: {g['pairs']} pairs, {g['topics']} topics" for name, g in results["groups"].items()
    )
    parts = [f"# {results['title']}"]
    parts += [results["about"]] if results["about"] else []
    parts += [tables.measured(results), groups + ".", summary(results)]
    for title, lines in (
        ("Not trained", tables.missing_lines(results)),
        ("Weights chosen on the development collection", tables.chosen_lines(results)),
    ):
        if lines:
            parts += [f"## {title}", "\n".join(f"- {_escaped(line)}" for line in lines)]
    parts += ["## Cost", "Medians over the pairs of languages; wall-clock time of the search and "
              "of scoring, without building indexes or reading modules.",
              table(tables.cost_table(results))]  # fmt: skip
    parts += ["## Collections", table(tables.collections_table(results))]
    parts += ["## Systems", table(tables.settings_table(results))]
    parts += ["## Pairs of languages"]
    for name, pairs in tables.pairs_tables(results):
        parts += [f"### {name}", table(pairs)]
    parts += ["## Made by"]
    parts += ["\n".join(f"- {key}: `{value}`" for key, value in tables.provenance(results))]
    return "\n\n".join(parts) + "\n"


def summary(results: Results) -> str:
    """The table of results and the tests; what README and the terminal show."""
    parts = [table(tables.main_table(results)), tables.verdict(results)]
    if results["tests"]:
        parts.append(table(tables.tests_table(results)))
    return "\n\n".join(parts)


def table(rows: tables.Table) -> str:
    """A table of text."""
    head, body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
