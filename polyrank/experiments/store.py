"""What an experiment keeps in its work folder, so that a kill loses a few seconds of work.

    searches/SYSTEM/COLLECTION.QUERIES.DOCUMENTS.trec    a search's run, and .json beside it
    scores/SCORER/COLLECTION.QUERIES.DOCUMENTS.jsonl     a reranker's scores, block by block
    runs/SYSTEM/COLLECTION.QUERIES.DOCUMENTS.trec        the run of every cell
    indexes/                                             dense and multi-vector indexes

Scores stand apart from runs, since one pair of query and document is scored once, however many
systems (depths, first stages, weights) use its score. The first line of a file of scores, and the
file beside a search's run, say what everything in it depends on; other settings, modules or texts
are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyrank.collections.appended import mended
from polyrank.collections.files import writing
from polyrank.collections.records import Run
from polyrank.collections.trec import read_run, write_run
from polyrank.errors import DataError, UsageError

FORMAT = 1
Binding = Mapping[str, Any]


def check(path: Path, before: Any, now: Binding) -> None:
    """Refuse what was made of something else.

    Raises:
        UsageError: with a line for everything that differs.
    """
    wanted = json.loads(json.dumps({"format": FORMAT, **now}))
    if before == wanted:
        return
    lines = list(_differences("", before if isinstance(before, dict) else {}, wanted))
    listed = "\n".join(f"  - {line}" for line in lines[:12])
    remove = "rm -r" if path.is_dir() else "rm"
    raise UsageError(
        f"{path} was made with other settings, modules or texts:\n{listed}\n"
        f"Start that part anew after:  {remove} {path}\nor keep it, and give another --work."
    )


def _differences(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*before, *now}):
        old, new, name = before.get(key), now.get(key), f"{where}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(f"{name}: ", old, new)
        elif old != new:
            yield f"{name} was {_short(old)} and is now {_short(new)}"


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


# ---------------------------------------------------------------------------------- searches


def read_search(path: Path, binding: Binding) -> tuple[Run, float] | None:
    """A search's run and its seconds a query; None where it was not finished.

    Raises:
        UsageError: it was made of something else.
    """
    beside = path.with_suffix(".json")
    if not beside.exists():
        return None
    record = _json(beside, beside.read_text(encoding="utf-8"))
    check(path, record.get("binding"), binding)
    run = read_run(path) if path.stat().st_size else {}
    return run, float(record["seconds_per_query"])


def write_search(path: Path, binding: Binding, run: Run, seconds: float) -> Run:
    """Keep a search's run; returned as it reads, with the digits of the file."""
    write_run(run, path)
    record = {"binding": {"format": FORMAT, **binding}, "seconds_per_query": seconds}
    with writing(path.with_suffix(".json")) as file:  # the run counts from here on
        file.write(json.dumps(record, indent=1) + "\n")
    return read_run(path) if path.stat().st_size else {}


# ------------------------------------------------------------------------------------ scores


@dataclass
class Scores:
    """Scores of one scorer in one pair of languages, and what they took.

    Attributes:
        values: query id → document id → score.
        pairs, seconds: that were scored, and the wall-clock time of it.
        usage: what a language model took in all: name → number, such as calls and tokens.
    """

    path: Path
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    pairs: int = 0
    seconds: float = 0.0
    usage: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        scores: Mapping[str, Mapping[str, float]],
        seconds: float,
        usage: Mapping[str, float] | None = None,
    ) -> None:
        """Append one block, in one line: after a kill it is there, or it is not."""
        block = {
            "seconds": round(seconds, 4),
            "scores": scores,
            **({"usage": usage} if usage else {}),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(block, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(block)

    def _take(self, block: Mapping[str, Any]) -> None:
        for query, found in block["scores"].items():
            self.values.setdefault(query, {}).update(found)
            self.pairs += len(found)
        self.seconds += block["seconds"]
        for name, number in block.get("usage", {}).items():
            self.usage[name] = self.usage.get(name, 0) + number


def open_scores(path: Path, binding: Binding) -> Scores:
    """The scores that are there; a line that a kill has cut is removed.

    Raises:
        UsageError: they were made of something else.
        DataError: a line that is whole but no block.
    """
    scores = Scores(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        rows = mended(path, lambda line, number: _json(path, line, number))
        if rows:
            check(path, rows[0].get("binding"), binding)
            for number, row in enumerate(rows[1:], 2):
                try:
                    scores._take(row)
                except (KeyError, AttributeError, TypeError):
                    raise DataError(path, number, "no block of scores; remove this file") from None
            return scores
    with writing(path) as text:
        text.write(json.dumps({"binding": {"format": FORMAT, **binding}}) + "\n")
    return scores


def _json(path: Path, text: str, line: int | None = None) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(path, line, f"no JSON ({error}); remove this file") from None
    if not isinstance(found, dict):
        raise DataError(path, line, "no JSON object; remove this file")
    return found
