"""Readers of collections and runs; every one yields the same four record types."""

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
