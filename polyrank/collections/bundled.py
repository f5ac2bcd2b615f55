"""The collections that come with the package, every pair of their languages a test."""

from __future__ import annotations

from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING

from polyrank.collections.jsonl import iter_documents, iter_queries
from polyrank.collections.records import Collection, Document, Query
from polyrank.collections.trec import read_qrels
from polyrank.errors import UsageError
from polyrank.languages import normalise

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # since Python 3.11

BUNDLED = ("xquad", "ntrex")
LICENCE = "CC BY-SA 4.0"


def bundled_languages(name: str) -> list[str]:
    """The languages in which a bundled collection exists, as sorted tags."""
    names = (entry.name for entry in _folder(name).iterdir())
    return sorted(n.split(".")[1] for n in names if n.startswith("corpus."))


def read_bundled(
    name: str, queries: str | None, documents: str | None, limit: int | None = None
) -> Collection:
    """A bundled collection for one pair of languages, or for all of them.

    Document ids are those of the parallel group, the same in every language. Without a language
    for the documents the collection holds all of them, `xq000.de` … with `group` `xq000`, and each
    query's judgements cover the passage in every language; without one for the queries likewise.

    Args:
        name: `xquad` or `ntrex`.
        queries, documents: languages; None for all.
        limit: at most this many queries per language.

    Raises:
        UsageError: for a language in which the collection does not exist.
    """
    asked_tags = [_known(name, queries)] if queries else bundled_languages(name)
    corpus_tags = [_known(name, documents)] if documents else bundled_languages(name)
    corpus: dict[str, Document] = {}
    by_group: dict[str, list[str]] = {}
    for tag in corpus_tags:
        for row in _documents(name, tag):
            identity = row.id if documents else f"{row.id}.{tag}"
            corpus[identity] = Document(identity, row.text, row.title, tag, row.id)
            by_group.setdefault(row.id, []).append(identity)
    asked = {}
    originals: dict[str, list[str]] = {}
    for tag in asked_tags:
        for query in islice(_queries(name, tag), limit):
            identity = query.id if queries else f"{query.id}.{tag}"
            asked[identity] = Query(identity, query.text, tag)
            originals.setdefault(query.id, []).append(identity)
    with resources.as_file(_folder(name) / "qrels.tsv") as path:
        judged = read_qrels(path)
    qrels = [
        type(j)(query_id, document_id, j.relevance)
        for j in judged
        for query_id in originals.get(j.query_id, ())
        for document_id in by_group[j.document_id]
    ]
    return Collection(name, corpus, asked, qrels, LICENCE)


def _known(name: str, language: str) -> str:
    tag = normalise(language)
    if tag not in (available := bundled_languages(name)):
        raise UsageError(f"{name} does not exist in {tag}; it exists in {', '.join(available)}")
    return tag


def _documents(name: str, tag: str) -> list[Document]:
    with resources.as_file(_folder(name) / f"corpus.{tag}.jsonl.gz") as path:
        return list(iter_documents(path, tag))


def _queries(name: str, tag: str) -> list[Query]:
    with resources.as_file(_folder(name) / f"queries.{tag}.jsonl.gz") as path:
        return list(iter_queries(path, tag))


def _folder(name: str) -> Traversable:
    return resources.files("polyrank.data") / name
