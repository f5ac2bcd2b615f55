"""Any collection of the `ir_datasets` package, by its id; documents stay on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.cards import CollectionCard, card_named
from polyrank.collections.collection_source import Need, Pairs, Selection, Source, starts_with
from polyrank.collections.irds_cards import IRDS_CARDS
from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.errors import LanguageError, UsageError
from polyrank.installed import is_installed
from polyrank.languages.tags import normalise
from polyrank.progress import note

PREFIX = "irds:"
INSTALL = "pip install 'polyrank[ir-datasets]'"


class StoredDocuments(Mapping[str, Document]):
    """Documents that are read from an `ir_datasets` docstore when they are asked for.

    Looking one up reads that one; only iterating goes through all of them. The docstore is built
    by ir_datasets at the first look-up, as a file on disk.
    """

    def __init__(self, dataset: Any, language: str | None) -> None:
        self.language = language
        self._dataset = dataset
        self._store = dataset.docs_store()

    def __getitem__(self, identity: str) -> Document:
        try:
            return _document(self._store.get(identity), self.language)
        except (KeyError, IndexError):  # NumPy's search beyond the last id is an IndexError
            raise KeyError(identity) from None

    def __iter__(self) -> Iterator[str]:
        return (row.doc_id for row in self._dataset.docs_iter())

    def __len__(self) -> int:
        count = self._dataset.docs_count()
        return sum(1 for _ in self) if count is None else int(count)


def read_irds(
    identity: str,
    queries: str | None = None,
    documents: str | None = None,
    limit: int | None = None,
) -> Collection:
    """A collection of `ir_datasets` (MacAvaney et al. 2021, arXiv 2103.02280).

    Queries and judgements are read, documents when they are asked for, so that reranking a run
    over millions of documents reads its candidates alone. Languages are those that the data set
    declares (`queries_lang`, `docs_lang`) unless given. Where a topic has a title and a
    description (HC4, NeuCLIR), the query is both; with `queries` the language of its human
    translation, it is that translation. What is not there yet is downloaded by ir_datasets; what
    and how large stands on stderr before.

    Args:
        identity: an ir_datasets id, such as `neuclir/1/fa/trec-2022`.
        queries, documents: languages that override the declared ones.
        limit: at most this many queries.

    Raises:
        UsageError: when ir_datasets is not installed, does not know the id, the data set lacks
            documents, queries or qrels, or its files are unavailable.
    """
    dataset = _load(identity)
    for part in ("docs", "queries", "qrels"):
        if not getattr(dataset, f"has_{part}")():
            raise UsageError(f"irds:{identity} has no {part}; choose a data set with {part}")
    query_language = _declared(queries, dataset.queries_lang())
    corpus = StoredDocuments(dataset, _declared(documents, dataset.docs_lang()))
    _announce(identity, corpus)
    try:
        asked = {
            q.query_id: Query(q.query_id, _topic(q, query_language), query_language)
            for q in islice(dataset.queries_iter(), limit)
        }
        judged = irds_judgements(identity)
    except (OSError, RuntimeError) as error:
        raise _unreachable(identity, error) from error
    qrels = [j for j in judged if j.query_id in asked]
    card = _card(identity)
    return Collection(f"irds:{identity}", corpus, asked, qrels, card.licence)


def irds_judgements(identity: str) -> list[Judgement]:
    """The judgements alone; neither documents nor queries are read.

    Raises:
        UsageError: as `read_irds`.
    """
    dataset = _load(identity)
    if not dataset.has_qrels():
        raise UsageError(f"irds:{identity} has no qrels; choose a data set with qrels")
    try:
        rows = [Judgement(j.query_id, j.doc_id, int(j.relevance)) for j in dataset.qrels_iter()]
    except (OSError, RuntimeError) as error:
        raise _unreachable(identity, error) from error
    return rows


def _load(identity: str) -> Any:
    try:
        import ir_datasets
    except ImportError:
        raise UsageError(
            f"irds: collections need the ir_datasets package; install it with:  {INSTALL}"
        ) from None
    try:
        return ir_datasets.load(identity)
    except KeyError:
        raise UsageError(f"ir_datasets has no data set {identity!r}; see ir-datasets.com") from None


def _announce(identity: str, corpus: StoredDocuments) -> None:
    """Say what will be fetched, on stderr, unless the documents are there."""
    built = getattr(corpus._store, "built", None)
    if built is None or built():
        return
    card = _card(identity)
    size = f"{card.download / 1e6:,.0f} MB" if card.download else "size not known"
    note(
        f"ir_datasets will fetch what is missing of irds:{identity}: {size}, "
        f"licence: {card.licence}; {card.url}"
    )


def _unreachable(identity: str, error: Exception) -> UsageError:
    card = _card(identity)
    return UsageError(
        f"irds:{identity} is unavailable: {error or type(error).__name__}.\n"
        f"How to get it: {card.get}; {card.url}"
    )


def _topic(row: Any, language: str | None) -> str:
    """Title and description where a topic has both, in a human translation if one is asked for."""
    if getattr(row, "translation_lang", None) is not None and language != "en":
        parts = (getattr(row, "ht_title", None), getattr(row, "ht_description", None))
        if not any(parts):
            raise UsageError(f"topic {row.query_id} has no human translation in {language}")
    else:
        parts = (getattr(row, "title", None), getattr(row, "description", None))
        if not all(isinstance(part, str) for part in parts):
            return str(row.default_text())
    return " ".join(part.strip() for part in parts if part)


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
        return normalise("nl" if declared == "dt" else declared) if declared else None
    except LanguageError:
        return None


def _card(identity: str) -> CollectionCard:
    return card_named(PREFIX + identity, IRDS_CARDS)


def _read(selection: Selection) -> Collection:
    identity = selection.without_split().name.removeprefix(PREFIX)
    return read_irds(identity, selection.queries, selection.documents, selection.limit)


def _judgements(selection: Selection) -> list[Judgement]:
    return irds_judgements(selection.without_split().name.removeprefix(PREFIX))


def _needs(name: str, pairs: Pairs) -> list[Need]:
    """The package, else the files; it keeps each family of data sets in a folder of that name."""
    if not is_installed("ir_datasets"):
        return [Need(name, INSTALL)]
    home = Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")
    if (home / name.removeprefix(PREFIX).split("/")[0]).is_dir():
        return []
    remedy = "ir_datasets downloads it when it is first read"
    return [Need(name, remedy, fetched=True, general=True)]


SOURCE = Source(
    "irds",
    ("irds:ID",),
    IRDS_CARDS,
    takes=starts_with(PREFIX),
    read=_read,
    judgements=_judgements,
    needs=_needs,
)
