"""Averages and tests by topic: a topic asked in two languages is one observation, not two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test
from polyrank.experiments.runner import Found, mean
from polyrank.experiments.specification import Comparison, Group, Specification, Task

Topic = tuple[str, str, str]  # source, query language unless parallel, query id


def topic_of(task: Task, query: str) -> Topic:
    """What a query is an observation of."""
    parallel = task.collection.parallel
    return (task.collection.source, "" if parallel else task.pair, query)


def topic_means(
    specification: Specification, found: Found, system: str, group: Group, measure: str
) -> dict[Topic, float]:
    """A topic's mean over the pairs of a group that it is asked in.

    Empty unless the system ran every pair of the group: means over other pairs do not compare.
    """
    cells = found.cells.get(system, {})
    tasks = [task for task in specification.tasks() if task in group]
    if any(task not in cells for task in tasks):
        return {}
    values: dict[Topic, list[float]] = {}
    for task in tasks:
        for query, value in cells[task].per_query[measure].items():
            if not group.takes(found.dates.get(task, {}).get(query)):
                continue
            values.setdefault(topic_of(task, query), []).append(value)
    return {topic: mean(row) for topic, row in sorted(values.items())}


def difference(
    specification: Specification, found: Found, system: str, baseline: str, group: Group
) -> dict[str, Any] | None:
    """System minus baseline over the topics of a group, with its interval; None where not both ran.

    The measure is the experiment's first.
    """
    measure = specification.measures[0]
    ours = topic_means(specification, found, system, group, measure)
    theirs = topic_means(specification, found, baseline, group, measure)
    if not ours or ours.keys() != theirs.keys():
        return None
    one, two = list(ours.values()), list(theirs.values())
    low, high = bootstrap_interval(one, two, seed=specification.seed)
    return {
        "group": group.name,
        "system": system,
        "baseline": baseline,
        "topics": len(one),
        "difference": round(mean(one) - mean(two), 4),
        "interval": [round(low, 4), round(high, 4)],
        "p": randomisation_test(one, two, seed=specification.seed),
    }


def tests(specification: Specification, found: Found) -> list[dict[str, Any]]:
    """Paired randomisation tests of all comparisons, Holm-corrected over all of them together."""
    rows = list(_all(specification, found, specification.comparisons))
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p"], row["p_holm"] = round(row["p"], 5), round(corrected, 5)
    return rows


def _all(
    specification: Specification, found: Found, comparisons: Iterable[Comparison]
) -> Iterable[dict[str, Any]]:
    for group in specification.groups:
        for one in comparisons:
            if one.groups is None or group.name in one.groups:
                row = difference(specification, found, one.system, one.baseline, group)
                if row is not None:
                    yield row


def routings(specification: Specification, found: Found) -> list[dict[str, Any]]:
    """Each routing's difference to none, for systems that differ in nothing else; no test."""
    rows = []
    for system in specification.systems:
        if system.routing in (None, "none"):
            continue
        plain = next((s for s in specification.systems if _without(system, s)), None)
        for group in specification.groups if plain else ():
            assert plain is not None
            row = difference(specification, found, system.name, plain.name, group)
            if row is not None:
                rows.append({**row, "routing": system.routing})
    for row in rows:
        del row["p"]  # an interval is all that is claimed
    return rows


def _without(system: Any, other: Any) -> bool:
    """Whether another system is this one without language modules."""
    same = ("search", "rerank", "base", "ranking", "ranking_kind", "zoo", "over", "depth",
            "interpolate", "keep_rest", "max_length", "precision")  # fmt: skip
    return other.routing == "none" and all(
        getattr(system, name) == getattr(other, name) for name in same
    )
