"""How well a trained model ranks questions that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from polyrank.collections.records import Document
from polyrank.rerankers.base import Request
from polyrank.rerankers.llm.card import LLMCard
from polyrank.rerankers.load import load_reranker
from polyrank.training.examples.negatives import Example


def figures_of(
    folder: Path, apart: Sequence[Example], documents: Mapping[str, Document], card: LLMCard
) -> dict[str, Any]:
    """Mean reciprocal rank of the best positive among each question's own candidates.

    Candidates are shown in the order of their ids, which tells nothing of them.
    """
    reranker = load_reranker(str(folder))
    requests, positives = [], {}
    for example in apart:
        shown = [
            replace(documents[name], language=card.language) for name in sorted(example.candidates)
        ]
        requests.append(Request(replace(example.query, language=card.language), tuple(shown)))
        positives[example.query.id] = set(example.positives)
    ranks = []
    for ranking in reranker.rank_all(requests):
        places = [hit.document_id in positives[ranking.query_id] for hit in ranking.hits]
        ranks.append(1 / (1 + places.index(True)))
    candidates = fmean(len(request.documents) for request in requests)
    return {
        "held-out questions": len(ranks),
        "candidates of each": round(candidates, 1),
        "RR": round(fmean(ranks), 4),
    }
