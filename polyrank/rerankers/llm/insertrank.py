"""InsertRank (arXiv 2506.14086): listwise generation that sees the score of the first stage.

Scores of any kind, BM25 or cosine, are mapped to 0 … 100 within the query:

    shown = round(100 · (s − min) / (max − min)),      50 where all are equal

Across languages BM25 is near noise: there take the score after query translation, or a dense one.
"""

from __future__ import annotations

from polyrank.errors import UsageError
from polyrank.rerankers.base import Request
from polyrank.rerankers.llm.listwise import ListwiseReranker


class InsertRankReranker(ListwiseReranker):
    """Ranks windows by permutations; each document is shown with its first-stage score.

    Arguments, repairs and scores are those of `ListwiseReranker`.

    Raises:
        UsageError: when ranking, a request without first-stage scores.
    """

    scorer = "insertrank"
    default_prompt = "insertrank"
    reads_first_stage = True

    def _shown_scores(self, request: Request) -> list[str]:
        if request.first_stage is None:
            raise UsageError(
                f"query '{request.query.id}': insertrank shows the scores of the first stage, and "
                "there are none; rerank a run or a retriever's hits, or use the listwise scorer"
            )
        lowest, highest = min(request.first_stage), max(request.first_stage)
        if highest == lowest:
            return ["50"] * len(request.first_stage)
        return [
            str(round(100 * (score - lowest) / (highest - lowest))) for score in request.first_stage
        ]
