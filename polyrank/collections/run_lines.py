"""How one candidate is written in a run, TREC or JSON lines, and its ids are read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from polyrank.collections import jsonl
from polyrank.collections.files import has_ending, raw_lines
from polyrank.collections.records import ScoredDocument
from polyrank.errors import DataError, UsageError

Details: TypeAlias = Mapping[str, Any] | None  # what a reranker says of a document


class LineFormat(NamedTuple):
    """How one candidate is written (hit, rank, tag, details of a reranker), and its ids read."""

    write: Callable[[ScoredDocument, int, str, Details], str]
    read_ids: Callable[[str], tuple[str, str]]


def _trec_line(hit: ScoredDocument, rank: int, tag: str, details: Details = None) -> str:
    return f"{hit.query_id} Q0 {hit.document_id} {rank} {hit.score:.9g} {tag}\n"


def _trec_ids(line: str) -> tuple[str, str]:
    fields = line.split()
    return fields[0], fields[2]


def _json_line(hit: ScoredDocument, rank: int, tag: str, details: Details = None) -> str:
    return jsonl.dump_scored(hit, details)


def _json_ids(line: str) -> tuple[str, str]:
    row = json.loads(line)
    return row["query_id"], row["document_id"]


TREC = LineFormat(_trec_line, _trec_ids)
JSONL = LineFormat(_json_line, _json_ids)


def refuse_over_other(output: Path) -> None:
    """Refuse to replace a file that is no run; an older run is replaced.

    Raises:
        UsageError: a file that holds something else.
    """
    if output.is_file() and output.stat().st_size and not _is_run(output):
        raise UsageError(f"{output} exists and is not a run; not overwritten. Name another output.")


def _is_run(path: Path) -> bool:
    """Whether a file begins as a run does."""
    try:
        _, raw = next(raw_lines(path))
        line = raw.decode("utf-8-sig")
        if line.startswith("{"):
            return bool(_json_ids(line))
        _, _, _, rank, score, _ = line.split(maxsplit=5)
        int(rank), float(score)
        return True
    except (DataError, StopIteration, ValueError, KeyError):
        return False


def line_format(output: str | Path, as_json: bool = False) -> LineFormat:
    """JSON lines for .jsonl and on demand, else TREC."""
    return JSONL if as_json or has_ending(output, ".jsonl") else TREC
