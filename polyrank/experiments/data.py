"""Whether a collection is at hand, without reading it, and how to come by it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from polyrank.collections.bundled import BUNDLED, bundled_languages
from polyrank.experiments.modules import Missing
from polyrank.experiments.specification import Collection, System, Task
from polyrank.experiments.stages import run_path

FETCHED = ("irds:", "hf:")  # sources that are downloaded when they are first read


def missing_data(collection: Collection) -> list[Missing]:
    """What of a collection is not here, each source once."""
    sources = dict.fromkeys(collection.source_of(*pair) for pair in collection.pairs)
    found = [_missing(source, collection) for source in sources]
    return [one for one in found if one is not None]


def _missing(source: str, collection: Collection) -> Missing | None:
    if source in BUNDLED:
        there = set(bundled_languages(source))
        gone = sorted({tag for pair in collection.pairs for tag in pair} - there)
        if not gone:
            return None
        return Missing(f"{source} in {', '.join(gone)}", f"it exists in {', '.join(sorted(there))}")
    if source.startswith("irds:"):
        return _irds(source, collection.get)
    if source.startswith("hf:"):
        how = collection.get or "it is fetched from the Hugging Face Hub when it is first read"
        return Missing(f"{source}, if it was not fetched before", how)
    folder = Path(source.split(":", 1)[1] if source.startswith("clef:") else source)
    if folder.is_dir():
        return None
    return Missing(f"the folder {folder}", collection.get or "put the collection there")


def _irds(source: str, get: str) -> Missing | None:
    """What ir_datasets lacks; it keeps each family of data sets in a folder of that name."""
    if find_spec("ir_datasets") is None:
        return Missing(source, "pip install 'polyrank[ir-datasets]'" + (f"; {get}" if get else ""))
    home = Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")
    family = source.removeprefix("irds:").split("/")[0]
    if (home / family).is_dir():
        return None
    return Missing(source, get or "ir_datasets downloads it when it is first read")


def must_be_there(collection: Collection) -> list[Missing]:
    """Of what is missing, what no run would fetch by itself."""
    fetched = collection.source.startswith(FETCHED)
    if fetched and (not collection.source.startswith("irds:") or find_spec("ir_datasets")):
        return []
    return missing_data(collection)


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
