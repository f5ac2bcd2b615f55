"""polyrank inside PyTerrier pipelines. This module alone imports PyTerrier, and needs no Java.

import pyterrier as pt
from polyrank.neighbours.pyterrier import Rerank, Retrieve

first = Retrieve(pr.BM25(documents), documents)
pipeline = first % 100 >> Rerank(pr.Reranker("e5-small"), query_language="tr")
pipeline(pt.new.queries(["Amazon ne kadar büyük?"]))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import ScoredDocument
from polyrank.collections.texts import Documents, documents_of, queries_of
from polyrank.errors import PolyrankError, UsageError
from polyrank.rerankers.base import Request, Reranker, Scorer, as_reranker

try:
    import pandas as pd
    import pyterrier as pt
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.pyterrier needs PyTerrier ({error}); install it with:  pip install "
        "'polyrank[pyterrier]'"
    ) from error

if TYPE_CHECKING:
    from polyrank.rerankers.base import Retriever


class Rerank(pt.Transformer):
    """Reorders candidates: qid, query, docno and text in; score and rank (from 0) anew.

    Every row stays, with its other columns. The rows of a query come out best first, ties by docno,
    queries in the order in which they come in. Languages are read from the columns `query_language`
    and `document_language` where these exist, a title from `title`.

    Args:
        reranker: a reranker, or anything with `score(pairs)`. It gets the column `score`, where
            there is one, as the first stage's scores.
        query_language, document_language: of rows that have none.
        text: the column with the documents' text.

    Raises:
        InputValidationError (a KeyError): naming the columns that are missing.
        UsageError: a document twice under one query, or a query id with two texts.
    """

    def __init__(
        self,
        reranker: Reranker | Scorer,
        query_language: str | None = None,
        document_language: str | None = None,
        text: str = "text",
    ) -> None:
        super().__init__()
        self.reranker, self.text = reranker, text
        self.query_language, self.document_language = query_language, document_language

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        pt.validate.result_frame(frame, extra_columns=["query", self.text])
        queries = {query.id: query for query in queries_of(frame, self.query_language)}
        parts = []
        for qid, rows in frame.groupby("qid", sort=False):
            texts = rows.assign(text=rows[self.text])
            documents = list(documents_of(texts, self.document_language).values())
            if len(documents) != len(rows):
                raise UsageError(f"query '{qid}' has a document twice; drop one of the two rows")
            scores = tuple(map(float, rows["score"])) if "score" in rows else None
            request = Request(queries[str(qid)], tuple(documents), scores)
            (ranking,) = as_reranker(self.reranker).rank_all([request])
            parts.append(_in_order(rows, ranking.hits))
        return pd.concat(parts, ignore_index=True) if parts else _typed(frame)

    @property
    def schematic(self) -> dict[str, Any]:
        """What a drawing shows; without a place for help PyTerrier looks for one on the web."""
        return {"help_url": None, "settings": {"reranker": type(self.reranker).__name__}}

    def __repr__(self) -> str:
        return f"Rerank({type(self.reranker).__name__})"


class Retrieve(pt.Transformer):
    """Finds candidates: qid and query in; docno, score and rank (from 0) out, a row per candidate.

    Other columns of a query are repeated in its rows; `query_language` is read where it exists.

    Args:
        retriever: anything with `search(queries, depth)`: `BM25`, `Dense`, `Fusion`, `FanOut`, ...
        documents: to add their `text`, `title` and `document_language`, for a reranker behind.
        depth: candidates per query.
        query_language: of rows that have none.

    Raises:
        InputValidationError (a KeyError): naming the columns that are missing.
        UsageError: two queries with one id, or a document found that is not among `documents`.
    """

    def __init__(
        self,
        retriever: Retriever,
        documents: Documents | None = None,
        depth: int = 100,
        query_language: str | None = None,
    ) -> None:
        super().__init__()
        self.retriever, self.depth, self.query_language = retriever, depth, query_language
        self.documents = None if documents is None else documents_of(documents)

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        pt.validate.query_frame(frame, extra_columns=["query"])
        queries = queries_of(frame, self.query_language)
        run = self.retriever.search(queries, self.depth) if queries else {}
        rows = [
            {**row, **self._candidate(hit), "score": hit.score, "rank": rank}
            for row in frame.to_dict("records")
            for rank, hit in enumerate(run.get(str(row["qid"]), []))
        ]
        return pd.DataFrame(rows) if rows else _typed(frame, "docno", *self._text_columns())

    def _text_columns(self) -> tuple[str, ...]:
        return () if self.documents is None else ("text", "title", "document_language")

    def _candidate(self, hit: ScoredDocument) -> dict[str, Any]:
        if self.documents is None:
            return {"docno": hit.document_id}
        if hit.document_id not in self.documents:
            raise UsageError(
                f"the retriever found document '{hit.document_id}', which is not among the "
                "documents given; give those that were indexed"
            )
        document = self.documents[hit.document_id]
        return {
            "docno": document.id,
            "text": document.text,
            "title": document.title,
            "document_language": document.language,
        }

    @property
    def schematic(self) -> dict[str, Any]:
        """What a drawing shows; not the documents."""
        settings = {"retriever": repr(self.retriever), "depth": self.depth}
        return {"help_url": None, "settings": settings}

    def __repr__(self) -> str:
        return f"Retrieve({self.retriever!r}, depth={self.depth})"


def _in_order(rows: pd.DataFrame, hits: Sequence[ScoredDocument]) -> pd.DataFrame:
    """The rows of one query in the order of the hits, with their scores and ranks."""
    place = {str(docno): at for at, docno in enumerate(rows["docno"])}
    ordered = rows.iloc[[place[hit.document_id] for hit in hits]]
    return ordered.assign(score=[hit.score for hit in hits], rank=range(len(hits)))


def _typed(frame: pd.DataFrame, *more: str) -> pd.DataFrame:
    """No rows, but every column, with the types that PyTerrier counts on."""
    empty = frame.iloc[:0].assign(**{name: pd.Series(dtype=object) for name in more})
    return empty.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
