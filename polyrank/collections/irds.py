"""Any collection of the `ir_datasets` package, by its id."""

from __future__ import annotations

from itertools import islice
from typing import Any

from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.errors import LanguageError, UsageError
from polyrank.languages import normalise


def read_irds(
    identity: str,
    queries: str | None = None,
    documents: str | None = None,
    limit: int | None = None,
) -> Collection:
    """A collection of `ir_datasets` (MacAvaney et al. 2021), read into memory.

    Languages are those that the data set declares (`queries_lang`, `docs_lang`) unless given. It
    downloads on first use.

    Args:
        identity: an ir_datasets id, such as `neuclir/1/fa/trec-2022`.
        queries, documents: languages that override the declared ones.
        limit: at most this many queries; all documents are kept.

    Raises:
        UsageError: when ir_datasets is not installed, does not know the id, or the data set lacks
            documents, queries or qrels.
    """
    dataset = _load(identity)
    for part in ("docs", "queries", "qrels"):
        if not getattr(dataset, f"has_{part}")():
            raise UsageError(f"irds:{identity} has no {part}; choose a data set that has")
    query_language = _declared(queries, dataset.queries_lang())
    document_language = _declared(documents, dataset.docs_lang())
    asked = {
        q.query_id: Query(q.query_id, q.default_text(), query_language)
        for q in islice(dataset.queries_iter(), limit)
    }
    corpus = {d.doc_id: _document(d, document_language) for d in dataset.docs_iter()}
    qrels = [
        Judgement(j.query_id, j.doc_id, int(j.relevance))
        for j in dataset.qrels_iter()
        if j.query_id in asked
    ]
    return Collection(f"irds:{identity}", corpus, asked, qrels)


def _load(identity: str) -> Any:
    try:
        import ir_datasets
    except ImportError:
        raise UsageError(
            "irds: collections need the ir_datasets package; "
            "install it with:  pip install 'polyrank[ir-datasets]'"
        ) from None
    try:
        return ir_datasets.load(identity)
    except KeyError:
        raise UsageError(
            f"ir_datasets knows no data set {identity!r}; see ir-datasets.com"
        ) from None


def _document(row: Any, language: str | None) -> Document:
    """Title apart where the data set has one, else its own idea of the text."""
    title, text = getattr(row, "title", None), getattr(row, "text", None)
    if isinstance(title, str) and isinstance(text, str):
        return Document(row.doc_id, text, title, language)
    return Document(row.doc_id, row.default_text(), "", language)


def _declared(given: str | None, declared: str | None) -> str | None:
    """The given language, else the declared one when it is a single known tag."""
    if given:
        return normalise(given)
    try:
        return normalise(declared) if declared else None
    except LanguageError:
        return None
