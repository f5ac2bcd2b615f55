"""The collections that come with the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING

from polyrank.collections.bundled_cards import BUNDLED_CARDS
from polyrank.collections.collection_source import Need, Pairs, Selection, Source
from polyrank.collections.files import open_text
from polyrank.collections.jsonl import iter_documents, iter_queries
from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.collections.trec import read_qrels
from polyrank.errors import UsageError
from polyrank.languages.tags import normalise

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # since Python 3.11

LICENCE = "CC BY-SA 4.0"


@dataclass(frozen=True)
class BundledLayout:
    """How a bundled collection is stored.

    Attributes:
        folder: below the package `polyrank.data`.
        parallel: whether texts of all languages share their ids; then all pairs share judgements.
        queries: the first word of the files that hold the queries.
        splits: what `split` may be; the ids of such queries contain `-SPLIT-`.
        pivots: languages in which there are translated queries, taken only when asked for.
        licence: of the texts.
        judged: the judgements, where they are not in a file `qrels.tsv`.
        document_ids: of the texts that are documents, where not all are.
        all_pairs: how many judgements all pairs of languages have at once, where too many to load.
    """

    folder: str
    parallel: bool = True
    queries: str = "queries"
    splits: tuple[str, ...] = ()
    pivots: tuple[str, ...] = ()
    licence: str = LICENCE
    judged: Callable[[], list[Judgement]] | None = None
    document_ids: Callable[[], set[str]] | None = None
    all_pairs: str = ""


def _topics() -> dict[str, tuple[str, str]]:
    """Sentence id → split and topic, as SIB-200 has them."""
    with resources.as_file(_folder("sib200") / "topics.tsv") as path:
        rows = [line.split("\t") for line in open_text(path)]
    return {identity: (split, topic) for identity, split, topic in rows[1:]}


def _translations() -> list[Judgement]:
    """A sentence and its translation, which has its id."""
    return [Judgement(identity, identity, 1) for identity in _topics()]


def _same_topic() -> list[Judgement]:
    """A sentence of the test split and each sentence of the other splits with its topic."""
    topics = _topics()
    return [
        Judgement(query_id, document_id, 1)
        for query_id, (split, topic) in topics.items()
        if split == "test"
        for document_id, (other, label) in topics.items()
        if other != "test" and label == topic
    ]


def _outside_test() -> set[str]:
    return {identity for identity, (split, _) in _topics().items() if split != "test"}


LAYOUTS = {
    "xquad": BundledLayout("xquad"),
    "ntrex": BundledLayout("ntrex"),
    "flores": BundledLayout("flores", queries="corpus", judged=_translations),
    "sib200": BundledLayout(
        "flores",
        queries="corpus",
        judged=_same_topic,
        document_ids=_outside_test,
        all_pairs="21 million judgements",
    ),
    "afriqa": BundledLayout(
        "afriqa",
        parallel=False,
        splits=("train", "dev"),
        pivots=("en", "fr"),
        licence="CC BY 4.0 (questions), CC BY-SA (passages)",
    ),
}
BUNDLED = tuple(LAYOUTS)


def bundled_languages(name: str) -> list[str]:
    """The languages in which a bundled collection has documents, as sorted tags."""
    return _languages(name, "corpus")


def query_languages(name: str) -> list[str]:
    """The languages in which it has queries, as sorted tags, translated ones among them."""
    return _languages(name, LAYOUTS[name].queries)


def read_bundled(
    name: str,
    queries: str | None,
    documents: str | None,
    limit: int | None = None,
    split: str | None = None,
) -> Collection:
    """A bundled collection for one pair of languages, or for all of them.

    Document ids of a parallel collection are those of the parallel group, the same in every
    language. Without a language for the documents the collection holds all of them, `xq000.de` …
    with `group` `xq000`, and each query's judgements cover the passage in every language; without
    one for the queries likewise. In AfriQA, which is not parallel, ids need no language, and only
    queries with a passage in the documents' language are taken.

    Args:
        name: one of `BUNDLED`.
        queries, documents: languages; None for all.
        limit: at most this many queries per language.
        split: of AfriQA, `train` or `dev`; None for both.

    Raises:
        UsageError: for a language or split in which the collection does not exist.
    """
    layout = LAYOUTS[name]
    query_tags, document_tags = _sides(name, queries, documents)
    judged = _judged(name, _split(name, split))
    query_suffix, document_suffix = _suffixes(layout, queries, documents)
    corpus = _corpus(name, document_tags, document_suffix)
    query_ids = {j.query_id for j in judged if layout.parallel or j.document_id in corpus}
    asked = {}
    for tag in query_tags:
        for query in islice((q for q in _queries(name, tag) if q.id in query_ids), limit):
            identity = query.id + query_suffix.format(tag)
            asked[identity] = Query(identity, query.text, tag)
    if not asked:
        raise UsageError(
            f"{name} has no query in {queries} whose document is in {documents}; "
            "leave out the language of the documents to have them all"
        )
    expanded = _expand(judged, query_tags, document_tags, query_suffix, document_suffix)
    qrels = [j for j in expanded if j.query_id in asked and j.document_id in corpus]
    return Collection(name, corpus, asked, qrels, layout.licence)


def _corpus(name: str, tags: list[str], suffix: str) -> dict[str, Document]:
    """The documents in some languages, by their ids with the suffix."""
    layout = LAYOUTS[name]
    wanted = None if layout.document_ids is None else layout.document_ids()
    corpus = {}
    for tag in tags:
        for row in _documents(name, tag):
            if wanted is None or row.id in wanted:
                identity = row.id + suffix.format(tag)
                group = row.id if layout.parallel else None
                corpus[identity] = Document(identity, row.text, row.title, tag, group)
    return corpus


def count_bundled(name: str) -> dict[str, int]:
    """Queries and documents, per language where it is parallel, and judgements of a pair."""
    layout = LAYOUTS[name]
    first = query_languages(name)[0] if layout.parallel else None
    collection = read_bundled(name, first, first)
    return {
        "queries": len(collection.queries),
        "documents": len(collection.documents),
        "judgements": len(collection.qrels),
        "query languages": len(query_languages(name)),
        "document languages": len(bundled_languages(name)),
    }


def bundled_judgements(
    name: str, queries: str | None = None, documents: str | None = None, split: str | None = None
) -> list[Judgement]:
    """The judgements alone, under the ids that `read_bundled` would give, no text being read.

    Those of a parallel collection hold for every pair of languages, so without any language they
    are those of a pair.

    Raises:
        UsageError: as `read_bundled`.
    """
    layout = LAYOUTS[name]
    if not layout.parallel:
        return read_bundled(name, queries, documents, split=split).qrels
    judged = _judged(name, _split(name, split))
    if queries is None and documents is None:
        return judged
    return _expand(
        judged, *_sides(name, queries, documents), *_suffixes(layout, queries, documents)
    )


def _sides(name: str, queries: str | None, documents: str | None) -> tuple[list[str], list[str]]:
    """The languages of the queries and of the documents."""
    layout = LAYOUTS[name]
    if layout.all_pairs and queries is None and documents is None:
        raise UsageError(
            f"{name} in all pairs of languages at once has {layout.all_pairs}; "
            "give the language of its queries, of its documents, or both"
        )
    available = query_languages(name)
    own = [tag for tag in available if tag not in layout.pivots]
    query_tags = [_known(name, queries, available)] if queries else own
    in_corpus = bundled_languages(name)
    return query_tags, [_known(name, documents, in_corpus)] if documents else in_corpus


def _suffixes(layout: BundledLayout, queries: str | None, documents: str | None) -> tuple[str, str]:
    """What ids get where a parallel collection is taken in all its languages."""
    return (
        ".{}" if layout.parallel and queries is None else "",
        ".{}" if layout.parallel and documents is None else "",
    )


def _expand(
    judged: Iterable[Judgement],
    query_tags: list[str],
    document_tags: list[str],
    query_suffix: str,
    document_suffix: str,
) -> list[Judgement]:
    """Each judgement for each language of the query and of the document."""
    of_queries = list(dict.fromkeys(query_suffix.format(tag) for tag in query_tags))
    of_documents = list(dict.fromkeys(document_suffix.format(tag) for tag in document_tags))
    return [
        Judgement(j.query_id + of_query, j.document_id + of_document, j.relevance)
        for j in judged
        for of_query in of_queries
        for of_document in of_documents
    ]


def _known(name: str, language: str, available: list[str]) -> str:
    if (tag := normalise(language)) not in available:
        raise UsageError(f"{name} does not exist in {tag}; it exists in {', '.join(available)}")
    return tag


def _split(name: str, split: str | None) -> str | None:
    splits = LAYOUTS[name].splits
    if split is None or split in splits or (split == "test" and not splits):
        return split if splits else None
    raise UsageError(f"{name} has no split {split!r}; it has {', '.join(splits) or 'only test'}")


def _judged(name: str, split: str | None) -> list[Judgement]:
    if (judged_by := LAYOUTS[name].judged) is not None:
        return judged_by()
    with resources.as_file(_folder(name) / "qrels.tsv") as path:
        judged = read_qrels(path)
    return judged if split is None else [j for j in judged if f"-{split}-" in j.query_id]


def _documents(name: str, tag: str) -> list[Document]:
    with resources.as_file(_folder(name) / f"corpus.{tag}.jsonl.gz") as path:
        return list(iter_documents(path, tag))


def _queries(name: str, tag: str) -> list[Query]:
    with resources.as_file(_folder(name) / f"{LAYOUTS[name].queries}.{tag}.jsonl.gz") as path:
        return list(iter_queries(path, tag))


def _languages(name: str, part: str) -> list[str]:
    names = (entry.name for entry in _folder(name).iterdir())
    return sorted(n.split(".")[1] for n in names if n.startswith(f"{part}."))


def _folder(name: str) -> Traversable:
    return resources.files("polyrank.data") / LAYOUTS[name].folder


def _read(selection: Selection) -> Collection:
    chosen = selection.queries, selection.documents, selection.limit, selection.split
    return read_bundled(selection.name, *chosen)


def _judgements(selection: Selection) -> list[Judgement]:
    chosen = selection.queries, selection.documents, selection.split
    return bundled_judgements(selection.name, *chosen)


def _needs(name: str, pairs: Pairs) -> list[Need]:
    """Languages in which it does not exist."""
    queries, documents = query_languages(name), bundled_languages(name)
    absent = {pair[0] for pair in pairs} - set(queries) | {pair[1] for pair in pairs} - set(
        documents
    )
    if not absent:
        return []
    available = ", ".join(sorted({*queries, *documents}))
    return [Need(f"{name} in {', '.join(sorted(absent))}", f"it exists in {available}")]


SOURCE = Source(
    "bundled",
    BUNDLED,
    BUNDLED_CARDS,
    takes=lambda name: name in LAYOUTS,
    read=_read,
    judgements=_judgements,
    needs=_needs,
    counts=count_bundled,
    in_views=True,
    parallel=lambda name: LAYOUTS[name].parallel,
)
