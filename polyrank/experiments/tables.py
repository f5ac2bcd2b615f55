"""The tables that every report shows, as rows of text."""

from __future__ import annotations

from typing import Any

from polyrank.experiments.results import Results

Table = tuple[list[str], list[list[str]]]  # head, body

NOT_TRAINED = "not trained"


def main_table(results: Results) -> Table:
    """Systems by groups, in the first measure; a dash where a system was not measured."""
    measure, groups = results["measures"][0], list(results["groups"])
    body = []
    for name, system in results["systems"].items():
        if "missing" in system:
            body.append([name, *[NOT_TRAINED] * len(groups)])
            continue
        means = results["means"][name]
        body.append([name, *(_value(means[group].get(measure)) for group in groups)])
    return [measure, *groups], body


def best(results: Results) -> dict[str, str]:
    """Group → the highest value in it, as it is printed."""
    head, body = main_table(results)
    found = {}
    for column, group in enumerate(head[1:], 1):
        numbers = [row[column] for row in body if row[column][0].isdigit()]
        found[group] = max(numbers, default="")
    return found


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def tests_table(results: Results) -> Table:
    """Every comparison, the smallest p first within its group."""
    head = ["compared", "on", "topics", "difference", "95 % interval", "p", "p (Holm)"]
    return head, [
        [
            f"{t['system']} − {t['baseline']}",
            t["group"],
            str(t["topics"]),
            f"{t['difference']:+.3f}",
            f"{t['interval'][0]:+.3f} to {t['interval'][1]:+.3f}",
            f"{t['p']:.4f}",
            f"{t['p_holm']:.4f}",
        ]
        for t in results["tests"]
    ]


def verdict(results: Results, level: float = 0.05) -> str:
    """What survives the correction, in a sentence."""
    tests = results["tests"]
    if not tests:
        return "Nothing was compared."
    kept = [t for t in tests if t["p_holm"] < level]
    alone = [t for t in tests if t["p"] < level]
    return (
        f"{len(kept)} of {len(tests)} differences have p < {level:g} after Holm's correction over "
        f"all {len(tests)} tests, {len(alone)} before it; the smallest corrected p is "
        f"{min(t['p_holm'] for t in tests):.4f}."
    )


_USAGE = ("calls a query", "tokens a query")  # of language models


def cost_table(results: Results) -> Table:
    """Time and size of every system."""
    shown = {name: s for name, s in results["systems"].items() if "missing" not in s}
    asked = [key for key in _USAGE if any(key in system for system in shown.values())]
    head = ["system", "ms a query", "parameters", "in modules", "queries without ranking", *asked]
    body = []
    for name, system in shown.items():
        time = f"{system['milliseconds']:,.1f}"
        sizes = [f"{system[key] / 1e6:.2f} M" for key in ("parameters", "module parameters")]
        usage = [f"{system[key]:,.1f}" if key in system else "-" for key in asked]
        body.append([name, time, *sizes, str(system["uncovered"]), *usage])
    return head, body


def collections_table(results: Results) -> Table:
    """What was searched, and under which licence."""
    head = ["collection", "source", "pairs", "queries a pair", "of", "documents", "licence"]
    keys = ["name", "source", "pairs", "queries a pair", "queries in all", "documents", "licence"]
    return head, [[str(row[key]) for key in keys] for row in results["collections"]]


def settings_table(results: Results) -> Table:
    """How every system was set."""
    head = ["system", "settings"]
    return head, [[name, _settings(s["settings"])] for name, s in results["systems"].items()]


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())


def missing_lines(results: Results) -> list[str]:
    """For every system that was left out: what it lacks, and the command that makes it."""
    return [
        f"{name}: {one['what']} is missing; make it with: {one['command']}"
        for name, system in results["systems"].items()
        for one in system.get("missing", [])
    ]


def chosen_lines(results: Results) -> list[str]:
    """For every weight that was chosen: which, and what was tried."""
    lines = []
    for name, system in results["systems"].items():
        if "chosen" in system:
            tried = ", ".join(f"{w}: {v:.3f}" for w, v in system["chosen"]["tried"].items())
            weight = system["chosen"]["weight"]
            lines.append(f"{name}: {weight}, of the development values {tried}")
    return lines


def pairs_tables(results: Results) -> list[tuple[str, Table]]:
    """Per collection: a row for every pair of languages, a column for every system."""
    measure, tables = results["measures"][0], []
    for collection in dict.fromkeys(row["collection"] for row in results["pairs"]):
        rows = [row for row in results["pairs"] if row["collection"] == collection]
        systems = list(dict.fromkeys(row["system"] for row in rows))
        values = {(r["queries"], r["documents"], r["system"]): r[measure] for r in rows}
        pairs = list(dict.fromkeys((r["queries"], r["documents"]) for r in rows))
        body = [
            [f"{q}→{d}", *(_value(values.get((q, d, system))) for system in systems)]
            for q, d in pairs
        ]
        tables.append((collection, (["pair", *systems], body)))
    return tables


def provenance(results: Results) -> list[tuple[str, str]]:
    """How to get the same again."""
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    limited = [("limit", f"{results['limit']} queries a pair: a trial, no result")]
    return [
        ("command", results["command"]),
        ("file", f"{results['file']['name']}, sha256 {results['file']['sha256'][:16]}…"),
        *(limited if results["limit"] else []),
        ("seed", str(results["seed"])),
        ("machine", results["machine"]),
        ("versions", versions),
        ("minutes of this call", str(results["minutes"])),
    ]


def measured(results: Results) -> str:
    """What the numbers are, in a sentence."""
    cut = f" over the best {results['cut']} documents" if results["cut"] else ""
    return (
        f"{results['measures'][0]}{cut}, averaged over topics; a topic's value is its mean over "
        "the pairs of languages that it is asked in. Tests: paired randomisation over topics, "
        "10,000 resamples, Holm's correction over all of them; intervals: bootstrap over topics."
    )
