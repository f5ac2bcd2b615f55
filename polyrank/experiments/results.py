"""What an experiment found, as plain values: the one source of all reports."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from polyrank.collections.files import writing
from polyrank.errors import DataError
from polyrank.experiments.modules import Missing
from polyrank.experiments.runner import Found, mean
from polyrank.experiments.specification import Specification, System
from polyrank.experiments.stages import settings_of
from polyrank.experiments.topics import routings, tests, topic_means
from polyrank.modules.card import sha256

FORMAT = 1
VERSIONS = ("polyrank", "torch", "transformers", "adapters", "numpy", "ir-measures", "bm25s")

Results = dict[str, Any]


def results_of(
    specification: Specification,
    found: Found,
    missing: Mapping[str, list[Missing]],
    command: str,
    minutes: float,
    limit: int | None = None,
) -> Results:
    """Everything that a report shows.

    Args:
        missing: systems that were left out, with what they lack.
        command: that made this.
        minutes: it took this time; what was finished before is not in it.
    """
    shown = [s for s in specification.systems if s.name in found.cells or s.name in missing]
    return {
        "format": FORMAT,
        "title": specification.title,
        "about": specification.about,
        "seed": specification.seed,
        "command": command,
        "file": {
            "name": specification.path.name,
            "sha256": sha256(specification.path),
            "text": specification.path.read_text(encoding="utf-8"),
        },
        "limit": limit,
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "minutes": round(minutes, 1),
        "measures": list(specification.measures),
        "cut": specification.cut,
        "collections": _collections(specification, found),
        "groups": {g.name: _group(specification, found, g) for g in specification.groups},
        "systems": {s.name: _system(s, found, missing.get(s.name, [])) for s in shown},
        "means": _means(specification, found),
        "pairs": _pairs(found),
        "tests": tests(specification, found),
        "routings": routings(specification, found),
        "heat_maps": list(specification.heat_maps),
    }


def _machine() -> str:
    from polyrank.machine import machine

    return machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _collections(specification: Specification, found: Found) -> list[dict[str, Any]]:
    rows = []
    for collection in specification.collections:
        texts = [texts for task, texts in found.texts.items() if task.collection == collection]
        if not texts:
            continue
        rows.append(
            {
                "name": collection.name,
                "source": collection.source,
                "licence": texts[0]["licence"] or "not stated by the source",
                "pairs": len(texts),
                "queries a pair": _span(t["queries"] for t in texts),
                "queries in all": _span(t["queries in all"] for t in texts),
                "documents": _span(t["documents"] for t in texts),
            }
        )
    return rows


def _span(counts: Iterable[int]) -> str:
    listed = sorted(counts)
    low, high = f"{listed[0]:,}", f"{listed[-1]:,}"
    return low if low == high else f"{low} to {high}"


def _group(specification: Specification, found: Found, group: Any) -> dict[str, int]:
    measure = specification.measures[0]
    means = (topic_means(specification, found, name, group, measure) for name in found.cells)
    return {
        "pairs": sum(1 for task in specification.tasks() if task in group),
        "topics": max((len(topics) for topics in means), default=0),
    }


def _system(system: System, found: Found, missing: list[Missing]) -> dict[str, Any]:
    """A row's settings, cost and state."""
    settings = {key: value for key, value in settings_of(system).items() if value is not None}
    if system.rerank is not None:
        settings |= {"over": system.over, "depth": system.depth}
    if system.interpolate is not None:
        settings["interpolate"] = f"{system.interpolate.weight}, {system.interpolate.normalise}"
    row: dict[str, Any] = {"family": system.family, "settings": settings}
    if system.name in found.weights:
        row["chosen"] = found.weights[system.name]
    if missing:
        return {**row, "missing": [{"what": m.what, "command": m.command} for m in missing]}
    cells = list(found.cells[system.name].values())
    return {
        **row,
        "milliseconds": round(median(cell.milliseconds for cell in cells), 2),
        "parameters": max(cell.parameters["run"] for cell in cells),
        "module parameters": max(cell.parameters["modules"] for cell in cells),
        "uncovered": sum(cell.uncovered for cell in cells),
        **{
            f"{name} a query": round(median(cell.usage.get(name, 0) for cell in cells), 1)
            for name in dict.fromkeys(name for cell in cells for name in cell.usage)
        },
    }


def _means(specification: Specification, found: Found) -> dict[str, dict[str, dict[str, float]]]:
    """System → group → measure → mean over topics."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for name in found.cells:
        system = specification.system(name)
        means[name] = {}
        for group in specification.groups:
            by_measure = {
                m: list(topic_means(specification, found, name, group, m).values())
                for m in specification.measures
                if specification.shown(system, group)
            }
            means[name][group.name] = {m: round(mean(v), 5) for m, v in by_measure.items() if v}
    return means


def _pairs(found: Found) -> list[dict[str, Any]]:
    """The mean of every cell."""
    return [
        {
            "system": name,
            "collection": task.collection.name,
            "queries": task.queries,
            "documents": task.documents,
            **{m: round(mean(values.values()), 4) for m, values in cell.per_query.items()},
        }
        for name, cells in found.cells.items()
        for task, cell in cells.items()
    ]


def write_values(path: Path, found: Found) -> None:
    """Every query's values, a line each: system, collection, languages, query, measures; tabs."""
    with writing(path) as file:
        head: list[str] = []
        for name, cells in found.cells.items():
            for task, cell in cells.items():
                if not head:
                    head = list(cell.per_query)
                    columns = ["system", "collection", "queries", "documents", "query", *head]
                    file.write("\t".join(columns) + "\n")
                for query in next(iter(cell.per_query.values())):
                    values = [f"{cell.per_query[m][query]:.6g}" for m in head]
                    place = [name, task.collection.name, task.queries, task.documents, query]
                    file.write("\t".join([*place, *values]) + "\n")


def write_results(path: Path, results: Results) -> None:
    """As JSON, for the reports, and for whoever wants to go on from there."""
    with writing(path) as file:
        file.write(json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def read_results(path: str | Path) -> Results:
    """What `write_results` wrote.

    Raises:
        DataError: anything else.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise DataError(path, None, f"format {found['format']}; this polyrank reads {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(path, None, f"no results of an experiment ({error!r})") from None
    return dict(found)
