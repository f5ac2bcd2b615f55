"""How one candidate is written in a run, TREC or JSON lines, and its ids are read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from polyrank.collections import jsonl
from polyrank.collections.files import has_ending
from polyrank.collections.records import ScoredDocument


class LineFormat(NamedTuple):
    """How one candidate is written, and its ids read back."""

    write: Callable[[ScoredDocument, int, str], str]
    read_ids: Callable[[str], tuple[str, str]]


def _trec_line(hit: ScoredDocument, rank: int, tag: str) -> str:
    return f"{hit.query_id} Q0 {hit.document_id} {rank} {hit.score:.9g} {tag}\n"


def _trec_ids(line: str) -> tuple[str, str]:
    fields = line.split()
    return fields[0], fields[2]


def _json_line(hit: ScoredDocument, rank: int, tag: str) -> str:
    return jsonl.dump_scored(hit)


def _json_ids(line: str) -> tuple[str, str]:
    row = json.loads(line)
    return row["query_id"], row["document_id"]


TREC = LineFormat(_trec_line, _trec_ids)
JSONL = LineFormat(_json_line, _json_ids)


def line_format(output: str | Path, as_json: bool = False) -> LineFormat:
    """JSON lines for .jsonl and on demand, else TREC."""
    return JSONL if as_json or has_ending(output, ".jsonl") else TREC
