"""Retrieval put together: fused retrievers, several queries per topic, a reranker on top.

Each part has `search(queries, depth) -> run`, as `BM25`, `Dense` and a late-interaction index have,
so parts nest in any order. A run in memory stands wherever a retriever does.

    first = Fusion([BM25(documents), Dense(documents)])
    pipeline = Pipeline(first, Reranker("e5-small"), documents, depth=50)
    pipeline.search("Суунун кайноо температурасы канча?", query_language="ky")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Query, Run, ScoredDocument
from polyrank.collections.texts import Documents, Queries, documents_of, queries_of
from polyrank.errors import UsageError
from polyrank.index.lexical import BM25
from polyrank.progress import track
from polyrank.rerankers.base import (
    Ranking,
    Request,
    Reranker,
    Scorer,
    as_reranker,
    check_languages,
    request_of,
)
from polyrank.runs.fusion import K, fuse

if TYPE_CHECKING:
    from polyrank.rerankers.base import Retriever

Variants = Mapping[str, Sequence["str | Query"]] | Callable[[Query], Sequence["str | Query"]]


@dataclass(frozen=True, repr=False)
class Fusion:
    """Several retrievers fused to one; see `polyrank.runs.fusion.fuse` for what the methods mean.

    BM25 is asked only for documents that share a word with the query: those it would fill up with
    have no rank worth fusing. So there may be fewer than `depth` documents.

    Args:
        retrievers: or runs.
        method: 'rrf', 'min-max', 'z-score' or 'max'.
        weights: one per retriever.
        each: candidates taken from each retriever; as many as are asked for when None.
        k: of 'rrf'.

    Raises:
        UsageError: no retrievers, an unknown method, or weights that do not fit, at the search.
    """

    retrievers: Sequence[Retriever | Run]
    method: str = "rrf"
    weights: Sequence[float] | None = None
    each: int | None = None
    k: int = K

    def search(self, queries: Queries, depth: int = 100) -> Run:
        """The fused documents of each query, best first, `depth` at most."""
        asked = queries_of(queries)
        runs = [matches(retriever, asked, self.each or depth) for retriever in self.retrievers]
        return fuse(runs, self.method, self.weights, depth, self.k)

    def __repr__(self) -> str:
        weights = f", weights {', '.join(map(str, self.weights))}" if self.weights else ""
        return _tree(f"Fusion by {self.method}{weights}", self.retrievers)


@dataclass(frozen=True, repr=False)
class FanOut:
    """Several queries per topic: translations, or the sub-questions of a question.

    Each is searched for, and the union of what they find is ranked by `merge`. A reranker on top
    sees the original query alone. A variant equal to another one counts once.

    Args:
        retriever: or a run that has the variants under their own ids.
        variants: query id → texts or queries; or a function from a query to these. A text has no
            language of its own; give a `Query` where the retriever needs to know it.
        merge: 'rrf', or 'max': the highest score under any of the queries.
        original: whether the query itself is searched for as well.
        each: candidates taken for each variant; as many as are asked for when None.
    """

    retriever: Retriever
    variants: Variants
    merge: str = "rrf"
    original: bool = True
    each: int | None = None

    def search(self, queries: Queries, depth: int = 100) -> Run:
        """The union of what a query's variants find, best first, `depth` at most.

        Raises:
            UsageError: a query that has neither variants nor itself to search for.
        """
        asked = queries_of(queries)
        topics = [(query, self._variants(query)) for query in asked]
        flat = [  # under ids of their own, since those of a topic may be the topic's
            Query(f"{place}.{number}", text, language)
            for place, (_, variants) in enumerate(topics)
            for number, (text, language) in enumerate(variants)
        ]
        found = matches(self.retriever, flat, self.each or depth)
        runs: list[Run] = [{} for _ in range(max((len(v) for _, v in topics), default=1))]
        for place, (query, variants) in enumerate(topics):
            for number in range(len(variants)):
                hits = found.get(f"{place}.{number}", [])
                runs[number][query.id] = [replace(hit, query_id=query.id) for hit in hits]
        fused = fuse(runs, self.merge, depth=depth)
        return {query.id: fused.get(query.id, []) for query in asked}

    def _variants(self, query: Query) -> list[tuple[str, str | None]]:
        """Text and language of each thing to search for, once."""
        given = self.variants(query) if callable(self.variants) else self.variants.get(query.id, ())
        if isinstance(given, str):
            raise UsageError(f"the variants of query '{query.id}' are one text; give a list")
        wanted = [query, *given] if self.original else list(given)
        if not wanted:
            raise UsageError(
                f"query '{query.id}' has no variants; give some, or search for the original too"
            )
        pairs = [(v, None) if isinstance(v, str) else (v.text, v.language) for v in wanted]
        return list(dict.fromkeys(pairs))

    def __repr__(self) -> str:
        with_original = "the query and its variants" if self.original else "the variants"
        return _tree(f"FanOut over {with_original}, merged by {self.merge}", [self.retriever])


class Pipeline:
    """A first stage and a reranker over its candidates.

    A pipeline is a retriever too: give it as the first stage of another for a third stage.

    Args:
        first: a retriever, or a run.
        reranker: a reranker, or anything with `score(pairs)`.
        documents: the texts that the reranker reads: records, texts, a collection or a frame.
        depth: candidates that are reranked.

    Raises:
        UsageError: two documents with one id, or a depth below 1.
    """

    def __init__(
        self,
        first: Retriever | Run,
        reranker: Reranker | Scorer,
        documents: Documents,
        depth: int = 100,
    ) -> None:
        if depth < 1:
            raise UsageError(f"depth is {depth}; give 1 or more")
        self.first, self.reranker, self.depth = first, reranker, depth
        self.documents = documents_of(documents)

    def search(
        self,
        queries: Queries,
        depth: int | None = None,
        query_language: str | None = None,
        progress: bool = True,
    ) -> Run:
        """Candidates of the first stage in the reranker's order; ties by document id.

        Args:
            queries: a text (called 'query' in the run), texts, records, a collection or a frame.
            depth: keep the first so many; all that were reranked when None.
            query_language: of texts, and of records without a language.
            progress: show a bar on stderr when it is a terminal.

        Returns:
            Query id → documents; an empty list where the first stage found nothing.

        Raises:
            UsageError: a candidate that is not among the documents.
        """
        asked = queries_of(queries, query_language)
        run: Run = {query.id: [] for query in asked}
        for ranking in self.rank_all(asked, progress):
            run[ranking.query_id] = list(ranking.hits[:depth])
        return run

    def rank_all(self, queries: Sequence[Query], progress: bool = True) -> Iterator[Ranking]:
        """The rankings of the queries for which the first stage found something, with details.

        Raises:
            UsageError: a candidate that is not among the documents.
        """
        reranker = as_reranker(self.reranker)
        check_languages(reranker, queries, self.documents.values())
        found = search(self.first, queries, self.depth)
        requests = [self._request(query, found[query.id]) for query in queries if found[query.id]]
        rankings = reranker.rank_all(requests)
        yield from track(rankings, "reranking", len(requests), show=progress)

    def _request(self, query: Query, hits: Sequence[ScoredDocument]) -> Request:
        try:
            return request_of(query, hits, self.documents)
        except KeyError as error:
            raise UsageError(
                f"the first stage found document {error}, which is not among the "
                "pipeline's documents; give the documents that were indexed"
            ) from error

    def __repr__(self) -> str:
        head = f"Pipeline over {len(self.documents):,} documents, {self.depth} candidates"
        return _tree(head, [self.first, self.reranker])


def search(retriever: Retriever | Run, queries: Sequence[Query], depth: int) -> Run:
    """What a retriever finds, or a run holds, for the queries."""
    if isinstance(retriever, Mapping):
        return {query.id: list(retriever.get(query.id, []))[:depth] for query in queries}
    return retriever.search(queries, depth)


def matches(retriever: Retriever | Run, queries: Sequence[Query], depth: int) -> Run:
    """As `search`, without what BM25 fills a ranking up with."""
    if isinstance(retriever, BM25):
        return retriever.search(queries, depth, pad=False)
    return search(retriever, queries, depth)


def _tree(head: str, parts: Sequence[Any]) -> str:
    return "\n".join([head, *(indent(_described(part), "  ") for part in parts)])


def _described(part: Any) -> str:
    """Its own words where it has some; of a scorer, its modules."""
    if isinstance(part, Mapping):
        return f"run of {len(part):,} queries"
    if type(part).__repr__ is not object.__repr__:
        return repr(part)
    names = [f"{n} {getattr(part, n)}" for n in ("ranking", "kind", "routing") if hasattr(part, n)]
    base = [f"base {part.base.name}"] if hasattr(part, "base") else []
    return f"{type(part).__name__}({', '.join([*base, *names])})"
