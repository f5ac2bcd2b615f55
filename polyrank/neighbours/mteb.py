"""polyrank in MTEB: its reranking tasks score pairs, its retrieval tasks search.

import mteb
from polyrank.neighbours.mteb import PolyrankCrossEncoder, PolyrankSearch

mteb.evaluate(PolyrankCrossEncoder("e5-small"), mteb.get_tasks(["MIRACLReranking"]))
mteb.evaluate(PolyrankSearch(pr.ModularDense), mteb.get_tasks(["BelebeleRetrieval"]))

Languages are those that MTEB names for a subset: one is that of both sides, of two the first is the
queries'. Other subsets are told by `languages`, or identified text by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document, Query
from polyrank.errors import LanguageError, PolyrankError
from polyrank.languages import tags
from polyrank.neighbours.ranking import loaded
from polyrank.rerankers.base import Request, Retriever

try:
    from mteb.models import ModelMeta
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.mteb needs MTEB ({error}); install it with:  pip install "
        "'polyrank[mteb]'"
    ) from error

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata

Pair = tuple[str | None, str | None]  # languages of queries and of documents
Languages = Mapping[str, Pair]  # by subset


def languages_of(metadata: TaskMetadata, subset: str, told: Languages | None = None) -> Pair:
    """The languages of a subset's queries and documents; None where nothing says them.

    Args:
        told: what counts before MTEB's own.
    """
    if told and subset in told:
        return told[subset]
    named = metadata.hf_subsets_to_langscripts.get(subset, [])
    try:
        found = list(dict.fromkeys(tags.normalise(one.partition("-")[0]) for one in named))
    except LanguageError:
        return None, None
    return (found[0], found[-1]) if 1 <= len(found) <= 2 else (None, None)


def meta_of(name: str) -> Any:
    """What MTEB files results under."""
    import polyrank

    return ModelMeta.create_empty(
        {"name": name if "/" in name else f"polyrank/{name}", "revision": polyrank.__version__}
    )


class PolyrankCrossEncoder:
    """Scores pairs (MTEB's CrossEncoderProtocol).

    Args:
        model: what `load_reranker` takes, or a reranker of single pairs.
        name: of the model in MTEB's results.
        languages: subset → languages, where MTEB's own do not say.
    """

    def __init__(
        self,
        model: Any = "e5-small",
        revision: str | None = None,
        device: str | None = None,
        *,
        name: str | None = None,
        languages: Languages | None = None,
        **options: Any,
    ) -> None:
        self.reranker: Any = loaded(model)
        self.languages = languages
        self.mteb_model_meta = meta_of(name or (model if isinstance(model, str) else "reranker"))

    def predict(
        self,
        inputs1: Iterable[Mapping[str, Any]],
        inputs2: Iterable[Mapping[str, Any]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **options: Any,
    ) -> Any:
        """Raw scores, (pairs,), in the order given."""
        import numpy as np

        asked, held = languages_of(task_metadata, hf_subset, self.languages)
        queries = [Query("query", text, asked) for batch in inputs1 for text in batch["text"]]
        documents = [Document("document", text, language=held) for text in _texts(inputs2)]
        scorer = getattr(self.reranker, "scorer", self.reranker)
        return np.array(scorer.score(list(zip(queries, documents, strict=True))))


class PolyrankSearch:
    """Searches a task's corpus, and reranks what a reranking task gives (MTEB's SearchProtocol).

    Args:
        first_stage: makes a retriever of documents: `pr.BM25`, `pr.ModularDense`, or a function of
            your own.
        model: what reranks; None leaves the order of the first stage.
        depth: candidates to rerank.
        name: in MTEB's results.
        languages: subset → languages, where MTEB's own do not say.
    """

    def __init__(
        self,
        first_stage: Callable[[list[Document]], Retriever],
        model: Any = None,
        depth: int = 100,
        name: str | None = None,
        languages: Languages | None = None,
    ) -> None:
        self.first_stage, self.depth, self.languages = first_stage, depth, languages
        self.reranker = None if model is None else loaded(model)
        self.mteb_model_meta = meta_of(name or "search")
        self._documents: dict[str, Document] = {}
        self._retriever: Retriever | None = None

    def index(
        self,
        corpus: Iterable[Mapping[str, Any]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        **options: Any,
    ) -> None:
        """Take the documents of a subset."""
        _, held = languages_of(task_metadata, hf_subset, self.languages)
        self._documents = {
            row["id"]: Document(row["id"], row["text"], row.get("title") or "", held)
            for row in corpus
        }
        self._retriever = None

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: Mapping[str, list[str]] | None = None,
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """Query → document → score, of the best `top_k` documents."""
        asked, _ = languages_of(task_metadata, hf_subset, self.languages)
        records = [Query(row["id"], row["text"], asked) for row in queries]
        found = self._candidates(records, max(top_k, self.depth), top_ranked)
        if self.reranker is not None:
            depth = None if top_ranked else self.depth
            found = {
                query.id: self._reranked(query, list(found[query.id])[:depth]) for query in records
            }
        return {query: dict(list(hits.items())[:top_k]) for query, hits in found.items()}

    def _candidates(
        self, queries: list[Query], depth: int, given: Mapping[str, list[str]] | None
    ) -> dict[str, dict[str, float]]:
        """Query → document → score of the first stage, best first; of a reranking task what it
        gives, in its order."""
        if given is not None and self.reranker is not None:
            return {q.id: dict.fromkeys(given.get(q.id, []), 0.0) for q in queries}
        if self._retriever is None:
            self._retriever = self.first_stage(list(self._documents.values()))
        run = self._retriever.search(queries, len(self._documents) if given else depth)
        return {
            q.id: {
                hit.document_id: hit.score
                for hit in run.get(q.id, [])
                if given is None or hit.document_id in set(given.get(q.id, []))
            }
            for q in queries
        }

    def _reranked(self, query: Query, candidates: list[str]) -> dict[str, float]:
        if not candidates:
            return {}
        assert self.reranker is not None
        documents = tuple(self._documents[one] for one in candidates)
        (ranking,) = self.reranker.rank_all([Request(query, documents)])
        return {hit.document_id: hit.score for hit in ranking.hits}


def _texts(batches: Iterable[Mapping[str, Any]]) -> list[str]:
    return [text for batch in batches for text in batch["text"]]
