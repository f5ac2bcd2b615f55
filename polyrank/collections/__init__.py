"""Readers of collections and runs; every one yields the same four record types.

Each name below is imported when it is first used, so that a record does not load every reader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.collections.beir import read_beir
    from polyrank.collections.load import load_collection, load_judgements
    from polyrank.collections.records import (
        Collection,
        Document,
        Judgement,
        Query,
        Run,
        ScoredDocument,
        as_run,
        ranked,
    )
    from polyrank.collections.stream import iter_run_by_query
    from polyrank.collections.trec import iter_run, read_qrels, read_run, write_run

# Public name -> the module that defines it.
_HOMES = {
    "Collection": "polyrank.collections.records",
    "Document": "polyrank.collections.records",
    "Judgement": "polyrank.collections.records",
    "Query": "polyrank.collections.records",
    "Run": "polyrank.collections.records",
    "ScoredDocument": "polyrank.collections.records",
    "as_run": "polyrank.collections.records",
    "iter_run": "polyrank.collections.trec",
    "iter_run_by_query": "polyrank.collections.stream",
    "load_collection": "polyrank.collections.load",
    "load_judgements": "polyrank.collections.load",
    "ranked": "polyrank.collections.records",
    "read_beir": "polyrank.collections.beir",
    "read_qrels": "polyrank.collections.trec",
    "read_run": "polyrank.collections.trec",
    "write_run": "polyrank.collections.trec",
}

__all__ = [
    "Collection",
    "Document",
    "Judgement",
    "Query",
    "Run",
    "ScoredDocument",
    "as_run",
    "iter_run",
    "iter_run_by_query",
    "load_collection",
    "load_judgements",
    "ranked",
    "read_beir",
    "read_qrels",
    "read_run",
    "write_run",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polyrank.collections' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
