"""Whether a collection is at hand, without reading it, and how to come by it."""

from __future__ import annotations

from polyrank.collections.catalogue import needs_of
from polyrank.collections.collection_source import Need
from polyrank.experiments.modules import Missing
from polyrank.experiments.specification import Collection, System, Task
from polyrank.experiments.stages import run_path


def missing_data(collection: Collection) -> list[Missing]:
    """What of a collection is not here, each source once."""
    return [_missing(need, collection.get) for need in _needs(collection)]


def must_be_there(collection: Collection) -> list[Missing]:
    """Of what is missing, what no run would fetch by itself."""
    return [_missing(need, collection.get) for need in _needs(collection) if not need.fetched]


def _needs(collection: Collection) -> list[Need]:
    names = dict.fromkeys(collection.source_of(*pair) for pair in collection.pairs)
    return [need for name in names for need in needs_of(name, collection.pairs)]


def _missing(need: Need, advice: str) -> Missing:
    """With the experiment's own advice on how to get the collection, where it gives some."""
    if not advice:
        return Missing(need.what, need.remedy)
    return Missing(need.what, advice if need.general else f"{need.remedy}; {advice}")


def missing_runs(system: System, tasks: list[Task]) -> list[Missing]:
    """Run files of another system that are not there."""
    if system.search != "run":
        return []
    paths = (run_path(system, task) for task in tasks)
    return [
        Missing(f"the run {path}", system.train or "write it with the system that is compared")
        for path in paths
        if not path.is_file()
    ]
