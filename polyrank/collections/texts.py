"""What users have at hand — texts, records, mappings, data frames — as records.

The one place that does so, for every function that takes queries, documents, pairs, runs or
judgements. What it cannot understand it refuses, with the place of the item and what it takes.

Frames have the columns that PyTerrier names: `qid`, `query`; `docno`, `text`; `score`, `rank` (from
0); `label` of judgements. Languages are in `query_language` and `document_language`, a title in
`title`; these are optional. Other columns are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from polyrank.collections.frames import columns, frame_documents, frame_queries, is_frame
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
from polyrank.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

# A frame is written as Any: pandas is imported by those who pass one.
Queries: TypeAlias = "str | Query | Iterable[str | Query] | Mapping[str, Any] | Collection | Any"
Documents: TypeAlias = "Iterable[str | Document] | Mapping[str, Any] | Collection | Any"
Runs: TypeAlias = "Run | Iterable[ScoredDocument] | Mapping[str, Mapping[str, float]] | Any"
Judgements: TypeAlias = "Iterable[Judgement] | Mapping[str, Mapping[str, int]] | Collection | Any"
Record = TypeVar("Record", Query, Document)

ID = ("id", "_id", "docid", "doc_id", "docno", "query_id", "qid")  # of a record as a mapping
TEXT = ("text", "contents", "query", "passage")
LANGUAGE = ("language", "lang")


class _Form(NamedTuple):
    """How records of a kind are made."""

    one: str  # in words
    record: type[Any]
    of_frame: Callable[[Any], list[Any]]


_QUERIES = _Form("query", Query, frame_queries)
_DOCUMENTS = _Form("document", Document, frame_documents)


def as_queries(source: Queries, language: str | None = None) -> list[Query]:
    """Queries in the order given; texts get their positions as ids, a single one 'query'.

    Args:
        source: a text or a record; texts, records or mappings with `text` (and `id`, `language`);
            id → any of these; a collection; a frame (qid, query).
        language: of those that do not name their own.

    Raises:
        UsageError: what is none of these.
    """
    single = isinstance(source, str | Query)
    listed = list(_records([source] if single else source, _QUERIES))
    if len(listed) == 1 and listed[0][1]:
        listed = [(replace(listed[0][0], id="query"), True)]
    return [q if q.language or not language else replace(q, language=language) for q, _ in listed]


def as_documents(source: Documents, language: str | None = None) -> list[Document]:
    """Documents in the order given; texts get their positions as ids.

    Args:
        source: texts, records or mappings with `text` (and `id`, `title`, `language`); id → any of
            these; a collection; a frame (docno, text).
        language: of those that do not name their own.

    Raises:
        UsageError: what is none of these, or a single text.
    """
    return [
        d if d.language or not language else replace(d, language=language)
        for d in each_document(source)
    ]


def one_query(query: str | Query, language: str | None = None) -> Query:
    """The query that was asked, called 'query' where it is a text.

    Raises:
        UsageError: several, or no text.
    """
    (asked,) = as_queries([query], language)
    return asked


def each_document(source: Documents) -> Iterator[Document]:
    """Documents as they come, for what need not hold them all; see `as_documents`."""
    if isinstance(source, str | Document):
        raise UsageError("documents are one text; give a list of them")
    return (document for document, _ in _records(source, _DOCUMENTS))


def queries_of(source: Queries, language: str | None = None) -> list[Query]:
    """The same, each id once.

    Raises:
        UsageError: two queries with one id, too.
    """
    return _unique(as_queries(source, language), "queries")


def documents_of(source: Documents, language: str | None = None) -> dict[str, Document]:
    """The same by id, each once.

    Raises:
        UsageError: two documents with one id, too.
    """
    found = _unique(as_documents(source, language), "documents")
    return {document.id: document for document in found}


def as_pairs(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Query, Document]]:
    """Pairs of a query and a document, texts or records, as records.

    Raises:
        UsageError: what is no such pair.
    """
    found = []
    for place, pair in enumerate(_iterated(pairs, "pairs", "a list of (query, document)")):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UsageError(f"pair {place} is {_shown(pair)}; give (query, document)")
        query, _ = _record(pair[0], place, None, _QUERIES)
        document, _ = _record(pair[1], place, None, _DOCUMENTS)
        found.append((query, document))
    return found


def run_of(source: Runs) -> Run:
    """A run, from a run, scored documents, query id → document id → score, or a frame (qid, docno,
    score); best first where it was not a run.

    Raises:
        UsageError: what is none of these.
    """
    takes = "{query id: [ScoredDocument, …]}, {query id: {document id: score}} or a data frame"
    if is_frame(source):
        rows = zip(*columns(source, "qid", "docno", "score"), strict=True)
        return as_run(ScoredDocument(_id(q), _id(d), _number(s, "score")) for q, d, s in rows)
    if not isinstance(source, Mapping):
        return as_run(_hit(hit, takes) for hit in _iterated(source, "a run", takes))
    return {_id(query): _hits(_id(query), hits, takes) for query, hits in source.items()}


def _hits(query_id: str, hits: Any, takes: str) -> list[ScoredDocument]:
    if isinstance(hits, Mapping):
        scores = ((_id(document), _number(score, "score")) for document, score in hits.items())
        return ranked(ScoredDocument(query_id, document, score) for document, score in scores)
    return [_hit(hit, takes) for hit in _iterated(hits, f"the run of query '{query_id}'", takes)]


def _hit(hit: Any, takes: str) -> ScoredDocument:
    if not isinstance(hit, ScoredDocument):
        raise UsageError(f"a run holds {_shown(hit)}; give {takes}")
    return hit


def judgements_of(source: Judgements) -> list[Judgement]:
    """Judgements, from judgements, query id → document id → relevance, a collection's, or a frame
    (qid, docno, label).

    Raises:
        UsageError: what is none of these, or a relevance that is no whole number.
    """
    takes = "Judgement records, {query id: {document id: relevance}} or a data frame"
    rows: Iterable[tuple[Any, Any, Any]]
    if is_frame(source):
        rows = zip(*columns(source, "qid", "docno", "label"), strict=True)
    elif isinstance(source, Mapping):
        rows = (
            (query, *pair)
            for query, judged in source.items()
            for pair in _pairs_of(judged, query, takes)
        )
    else:
        listed = source.qrels if isinstance(source, Collection) else source
        found = list(_iterated(listed, "judgements", takes))
        for one in found:
            if not isinstance(one, Judgement):
                raise UsageError(f"the judgements hold {_shown(one)}; give {takes}")
        rows = ((one.query_id, one.document_id, one.relevance) for one in found)
    return [Judgement(_id(q), _id(d), _grade(relevance)) for q, d, relevance in rows]


def _pairs_of(judged: Any, query: Any, takes: str) -> Iterable[tuple[Any, Any]]:
    if not isinstance(judged, Mapping):
        raise UsageError(f"the judgements of query {query!r} are {_shown(judged)}; give {takes}")
    return judged.items()


def _grade(value: Any) -> int:
    number = _number(value, "relevance")
    if number != int(number):
        raise UsageError(f"the relevance {value!r} is no whole number; round or scale it")
    return int(value)


def _number(value: Any, what: str) -> float:
    """A number, also of NumPy; infinite scores are refused where they matter."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise UsageError(f"the {what} {_shown(value)} is not a number")
    number = float(value)
    if math.isnan(number) or (what == "relevance" and math.isinf(number)):
        raise UsageError(f"the {what} is {number}; leave such documents out")
    return number


def to_frame(run: Run) -> DataFrame:
    """A run as a frame: qid, docno, score, and rank from 0."""
    import pandas as pd

    rows = [
        (hit.query_id, hit.document_id, hit.score, rank)
        for hits in run.values()
        for rank, hit in enumerate(ranked(hits))
    ]
    frame = pd.DataFrame(rows, columns=["qid", "docno", "score", "rank"])
    return frame.astype({"qid": object, "docno": object, "score": float, "rank": int})


# ------------------------------------------------------------------------------- one by one


def _records(source: Any, form: _Form) -> Iterator[tuple[Any, bool]]:
    """The records, and of each whether its id is its position."""
    if is_frame(source):
        items: Iterable[tuple[Any, Any]] = ((None, item) for item in form.of_frame(source))
    else:
        if isinstance(source, Collection):
            source = source.queries if form is _QUERIES else source.documents
        if isinstance(source, Mapping):
            _refuse_single(source, form)
            items = source.items()
        else:
            takes = f"texts, {form.record.__name__} records, mappings or a data frame"
            items = ((None, item) for item in _iterated(source, _plural(form), takes))
    return (_record(item, place, key, form) for place, (key, item) in enumerate(items))


def _record(item: Any, place: int, key: Any, form: _Form) -> tuple[Any, bool]:
    named = str(place) if key is None else _id(key)
    if isinstance(item, str):
        return form.record(named, _text(item, form.one, named)), key is None
    if isinstance(item, form.record):
        _text(item.text, form.one, item.id)
        _text(getattr(item, "title", "") or "", f"title of {form.one}", item.id)
        return (item if isinstance(item.id, str) else replace(item, id=_id(item.id))), False
    if isinstance(item, Mapping):
        return _of_mapping(item, named, key is None, form)
    raise UsageError(
        f"{form.one} {named} is {_shown(item)}; give a text, a {form.record.__name__}, or a "
        "mapping with 'text'"
    )


def _of_mapping(
    row: Mapping[Any, Any], named: str, by_place: bool, form: _Form
) -> tuple[Any, bool]:
    texts = [row[name] for name in TEXT if name in row]
    if not texts:
        fields = ", ".join(map(str, row)) or "nothing"
        raise UsageError(f"{form.one} {named} has no field 'text'; it has {fields}")
    own = next((row[name] for name in ID if row.get(name) is not None), None)
    identity = named if own is None else _id(own)
    language = next((row[name] for name in LANGUAGE if row.get(name)), None)
    if language is not None and not isinstance(language, str):
        raise UsageError(f"the language of {form.one} {identity} is {_shown(language)}; give a tag")
    found = form.record(identity, _text(texts[0], form.one, identity), language=language)
    if form is _DOCUMENTS and row.get("title"):
        found = replace(found, title=_text(row["title"], "title of document", identity))
    return found, own is None and by_place


def _refuse_single(source: Mapping[Any, Any], form: _Form) -> None:
    """A mapping is id → text; one with the fields of a record is a record without its list."""
    if any(isinstance(source.get(name), str) for name in TEXT) and set(source) <= {
        *ID,
        *TEXT,
        *LANGUAGE,
        "title",
    }:
        raise UsageError(f"{_plural(form)} are one record; give a list of them")


def _text(value: Any, what: str, identity: Any) -> str:
    """The text.

    Raises:
        UsageError: no text, or one that holds half a surrogate pair, which no file can.
    """
    if not isinstance(value, str):
        raise UsageError(f"the text of {what} {identity!r} is {_shown(value)}; give a string")
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text of {what} {identity!r} has half a surrogate pair at character "
            f"{error.start}; it was cut within a character, or read with the wrong encoding"
        ) from None
    return value


def _id(value: Any) -> str:
    """An id as text: texts and whole numbers, also of NumPy."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"the id {_shown(value)} is neither text nor a whole number")
    return str(int(value))


def _iterated(source: Any, what: str, takes: str) -> Iterable[Any]:
    if isinstance(source, str | bytes) or not hasattr(source, "__iter__"):
        raise UsageError(f"{what}: {_shown(source)} was given; give {takes}")
    found: Iterable[Any] = source
    return found


def _shown(value: Any) -> str:
    """A value of the wrong type, short."""
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:39] + '…'} ({type(value).__name__})"


def _plural(form: _Form) -> str:
    return "queries" if form is _QUERIES else "documents"


def _unique(records: Sequence[Record], what: str) -> list[Record]:
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise UsageError(f"two {what} have the id '{record.id}'; ids must be unique")
        seen.add(record.id)
    return list(records)
