"""Retrievers as teachers: their scores of a question's candidates, under the whole collection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from polyrank.base import Base
from polyrank.collections.records import Document
from polyrank.rerankers.base import ListReranker, Ranking, Request, best_first

Passages = Mapping[str, Document]


class BM25Teacher(ListReranker):
    """BM25 over all passages, of which the candidates' scores are read."""

    def __init__(self, passages: Passages, base: Base) -> None:
        from polyrank.index.lexical import BM25

        self.index = BM25(passages.values())
        joined = "\n".join(f"{name} {passages[name].full_text}" for name in self.index.ids)
        self.passages = hashlib.sha256(joined.encode()).hexdigest()[:12]

    def rank_request(self, request: Request) -> Ranking:
        scores = self.index.scores(request.query.text)  # (all passages,)
        found = dict(zip(self.index.ids, map(float, scores), strict=True))
        return best_first(request, [found.get(d.id, 0.0) for d in request.documents])

    def identity(self) -> Mapping[str, str]:
        return {"bm25": f"{len(self.index.ids)} passages {self.passages}"}


class DenseTeacher(ListReranker):
    """The base's own vectors: the cosine of question and passage."""

    def __init__(self, passages: Passages, base: Base) -> None:
        self.base = base

    def rank_request(self, request: Request) -> Ranking:
        from polyrank.index.dense import Dense

        index = Dense(request.documents, base=self.base, progress=False)
        run = index.search([request.query], len(request.documents))
        found = {hit.document_id: hit.score for hit in run[request.query.id]}
        return best_first(request, [found.get(d.id, -1.0) for d in request.documents])

    def identity(self) -> Mapping[str, str]:
        return {"dense": str(self.base.fingerprint)}


FIRST_STAGE_TEACHERS: Mapping[str, Callable[[Passages, Base], ListReranker]] = {
    "bm25": BM25Teacher,
    "dense": DenseTeacher,
}
