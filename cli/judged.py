"""Judgements, languages and parallel groups for the verbs that measure runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import note

from .loading import told_of_others

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Judgement, Run
    from polyrank.evaluation import Pool
    from polyrank.evaluation.looking import Texts

Judged = Annotated[
    str | None,
    typer.Option("--collection", help="A collection: its judgements, languages and groups."),
]
Measures = Annotated[
    str,
    typer.Option(
        help="Separated by commas: those of ir_measures, and SemnDCG@k, LangnDCG@k, LPR, PEER@k, "
        "FourWay for rankings of several languages."
    ),
]
Missing = Annotated[
    str,
    typer.Option(help="Runs over different queries: refuse, zero, or intersect.", metavar="HOW"),
]
By = Annotated[
    str,
    typer.Option("--by", help="all, query-language, document-language, or pair.", metavar="WHAT"),
]
VIEWS = (("en", "en"), ("en", None), (None, "en"), (None, None))


@dataclass(frozen=True)
class Truth:
    """What runs are measured against; `pool` is None where only judgements are given.

    texts: queries and documents, as far as they are given.
    """

    qrels: list[Judgement]
    pool: Pool | None
    texts: Texts | None = None


def split_measures(text: str) -> list[str]:
    """Names between commas, but not those commas inside AP(rel=2,cutoff=5) or {1:.5,2:.5}."""
    names, depth = [""], 0
    for character in text:
        depth += (character in "({") - (character in ")}")
        if character == "," and depth == 0:
            names.append("")
        else:
            names[-1] += character
    return [name.strip() for name in names if name.strip()]


def asks_for_languages(measures: Sequence[str], by: str) -> bool:
    """Whether languages of queries and documents count for anything that is measured.

    Raises:
        UsageError: an unknown measure.
    """
    from polyrank.evaluation.measures import parse_measures
    from polyrank.evaluation.named import LanguageMeasure

    return by != "all" or any(isinstance(m, LanguageMeasure) for m in parse_measures(measures))


def truth(
    runs: Sequence[Run],
    qrels: Path | None,
    collection: str | None,
    queries: Path | None,
    documents: Path | None,
    query_language: str | None,
    document_language: str | None,
    split: str | None = None,
) -> Truth:
    """Judgements from a file or a collection; languages from a collection, files, or options.

    A bundled collection exists in several views, with other ids: all languages or one, of queries
    and of documents. Without languages given, the view is taken whose ids the runs have, and said.

    Raises:
        UsageError: when the options do not fit together, or no view has the ids of the runs.
    """
    from polyrank.collections.catalogue import source_of
    from polyrank.collections.load import load_collection
    from polyrank.collections.text_files import read_documents, read_queries
    from polyrank.collections.trec import read_qrels
    from polyrank.evaluation import Pool
    from polyrank.evaluation.looking import Texts

    if (qrels is None) == (collection is None):
        raise UsageError("give the judgements: a QRELS file, or --collection NAME")
    if split is not None and collection is None:
        raise UsageError("--split goes with --collection")
    if collection is None:
        assert qrels is not None
        asked = read_queries(queries, query_language) if queries else {}
        texts = read_documents(documents, document_language) if documents else {}
        told_of_others(asked, query_language, "query")
        told_of_others(texts, document_language, "document")
        judged = read_qrels(qrels)
        pool = Pool.of(asked.values(), texts.values()) if asked or texts else None
        pool = _with_languages(pool, judged, runs, query_language, document_language)
        return Truth(judged, pool, Texts(qrels.name, asked, texts))
    if queries is not None or documents is not None:
        raise UsageError("give --collection, or QRELS with --queries and --documents, not both")
    if not source_of(collection).in_views:
        loaded = load_collection(collection, query_language, document_language, split)
        return Truth(loaded.qrels, Pool.of_collection(loaded), _texts(loaded))
    return _of_the_view(collection, runs, query_language, document_language, split)


def _of_the_view(
    name: str,
    runs: Sequence[Run],
    query_language: str | None,
    document_language: str | None,
    split: str | None,
) -> Truth:
    from polyrank.evaluation import Pool

    ranked = {(q, h.document_id) for run in runs for q, hits in run.items() for h in hits}
    asked = {query_id for run in runs for query_id in run}
    documents = {document_id for _, document_id in ranked}
    for view, found in _views(name, query_language, document_language, split):
        if asked & found.queries.keys() and documents & found.documents.keys():
            pool = Pool.of_collection(found)
            shown = [
                f"{what} in {'all languages' if ids is None else given}"
                for what, given, ids in (
                    ("queries", query_language, view[0]),
                    ("documents", document_language, view[1]),
                )
                if given or ids is None
            ]
            if shown:
                note(f"{name}: {', '.join(shown)}")
            # Ids of one language are those of any: which one it is, only an option can say.
            if view[0] is not None and query_language is None:
                pool = replace(pool, query_languages={})
            if view[1] is not None and document_language is None:
                pool = replace(pool, document_languages={})
            return Truth(found.qrels, pool, _texts(found))
    some_query, some_document = min(asked, default="none"), min(documents, default="none")
    raise UsageError(
        f"the ids of the run are not those of {name}: query {some_query!r}, document "
        f"{some_document!r}.\nGive the collection that was searched, or a QRELS file."
    )


def _texts(collection: Collection) -> Texts:
    from polyrank.evaluation.looking import Texts

    return Texts(collection.name, collection.queries, collection.documents)


def _views(
    name: str, query_language: str | None, document_language: str | None, split: str | None
) -> Iterator[tuple[tuple[str | None, str | None], Collection]]:
    """Views to try: with the languages given, else those of one language and of all."""
    from polyrank.collections.load import load_collection

    for query, document in VIEWS:
        view = query and (query_language or query), document and (document_language or document)
        yield view, load_collection(name, view[0], view[1], split)


def _with_languages(
    pool: Pool | None,
    judged: Sequence[Judgement],
    runs: Sequence[Run],
    query_language: str | None,
    document_language: str | None,
) -> Pool | None:
    """A language that an option gives holds for every id that has no other."""
    from polyrank.evaluation import Pool
    from polyrank.languages.tags import normalise

    pool = pool or Pool({}, {}, {})
    queries, documents = dict(pool.query_languages), dict(pool.document_languages)
    if query_language:
        ids = {j.query_id for j in judged} - queries.keys()
        queries |= dict.fromkeys(sorted(ids), normalise(query_language))
    if document_language:
        ids = {j.document_id for j in judged}
        ids |= {h.document_id for run in runs for hits in run.values() for h in hits}
        documents |= dict.fromkeys(sorted(ids - documents.keys()), normalise(document_language))
    return Pool(queries, documents, pool.groups) if queries or documents else None
