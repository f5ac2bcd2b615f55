"""Multi-view reranking over a composition: vectors of each pair's views, scores of the whole list.

MVP (arXiv 2509.07485); the head and what differs from the source are in
`polyrank.modules.multi_view`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_pairs
from polyrank.encoders.modular import Active, Row
from polyrank.modules.multi_view import load_multi_view
from polyrank.rerankers.base import Ranking, Request
from polyrank.rerankers.modular import ModularReranker
from polyrank.zoo.find import find


class MultiViewReranker(ModularReranker):
    """Ranks a query's candidates by m learned view tokens before each pair.

    The arguments, languages and routings are those of `ModularReranker`; view tokens belong to the
    query's side. A score depends on the other candidates of the list, and not on their order.

    Raises:
        ModuleError: also a ranking module of another architecture, or for another width.
    """

    headed = False
    pointwise = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        folder = find(self.base.name, "ranking", self.ranking_kind, self.ranking, self.zoo)
        self.views = load_multi_view(folder).to(self.device)
        self.reserved = self.views.views

    def size(self) -> tuple[int, int]:
        """Also those of view tokens and head."""
        parameters, size = super().size()
        own = list(self.views.parameters())
        return (
            parameters + sum(t.numel() for t in own),
            size + sum(t.numel() * t.element_size() for t in own),
        )

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query; in whichever order they come, the same to the bit."""
        order = sorted(range(len(request.documents)), key=lambda i: request.documents[i].id)
        first = request.first_stage
        return super().rank_request(
            Request(
                request.query,
                tuple(request.documents[place] for place in order),
                first and tuple(first[place] for place in order),
            )
        )

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Scores in the order given; the pairs of one query are one list, whatever lies between.

        With other candidates a pair has another score.
        """
        pairs = as_pairs(pairs)
        vectors = self._run(pairs, self._vectors)  # (m, H) each
        lists: dict[Query, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            lists.setdefault(query, []).append(place)
        scores = [0.0] * len(pairs)
        for places in lists.values():
            found = self._of_list([vectors[place] for place in places])
            for place, score in zip(places, found, strict=True):
                scores[place] = score
        return scores

    @torch.inference_mode()
    def _of_list(self, vectors: Sequence[Tensor]) -> list[float]:
        stacked = torch.stack(list(vectors))[None]  # (1, N, m, H)
        mask = torch.ones(stacked.shape[:2], dtype=torch.bool, device=stacked.device)
        scores: list[float] = self.views(stacked, mask)[0][0].tolist()
        return scores

    def _encode(
        self, pairs: Sequence[tuple[Query, Document]], active: Sequence[Active]
    ) -> list[Row]:
        """Rows with a place for each view token first: an id that is not padding's."""
        views = self.reserved
        return [
            replace(
                row,
                ids=(row.ids[0],) * views + row.ids,
                types=(row.types[0],) * views + row.types,
                document_start=views + row.document_start,
            )
            for row in super()._encode(pairs, active)
        ]

    def _vectors(self, rows: Sequence[Row]) -> Sequence[Tensor]:
        """Relevance vectors of one batch, (m, H) each, fp32."""
        table = self._engine.encoder.get_input_embeddings()
        hidden = self._engine.encode(
            rows, lambda ids: self.views.embed(ids[:, self.reserved :], table)
        )
        return list(hidden[:, : self.reserved].float())
