"""A run too large for memory, one query at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from polyrank.collections.records import ScoredDocument, ranked
from polyrank.collections.trec import numbered_run, unique
from polyrank.errors import DataError


def iter_run_by_query(path: str | Path) -> Iterator[tuple[str, list[ScoredDocument]]]:
    """(query id, its documents by `ranked`) in the file's order; one query is held at a time.

    Raises:
        DataError: when a query's lines do not stand together, a document occurs twice for a
            query, or a line is malformed.
    """
    done: set[str] = set()
    for query_id, group in groupby(numbered_run(path), key=lambda row: row[1].query_id):
        lines = list(group)
        if query_id in done:
            reason = (
                f"the lines of query {query_id} do not stand together; sort the run by query "
                "(sort -s -k1,1) or read it whole with read_run"
            )
            raise DataError(path, lines[0][0], reason)
        done.add(query_id)
        yield query_id, ranked(unique(lines, path))
