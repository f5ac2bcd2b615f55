"""Lang-nDCG: quality of the ranking and language of its documents in one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polyrank.errors import UsageError
from polyrank.evaluation.gains import ndcg_of_groups
from polyrank.evaluation.pool import Pool


def lang_ndcg(
    ranking: Sequence[str],
    judged: Mapping[str, int],
    query_language: str,
    pool: Pool,
    cutoff: int | None = None,
    same: float = 2.0,
    other: float = 1.0,
    members: str = "all",
) -> float:
    """nDCG@k whose gain is relevance × `same` in the query's language, × `other` in another.

    A reconstruction after MLAIRE (arXiv 2605.07249), whose formula was not at hand. With `same`
    equal to `other` it is semantic nDCG; with `other` 0 only the query's language counts.

    Args:
        ranking, judged, pool, cutoff, members: as in `semantic_ndcg`.
        query_language: the tag of the query.
        same, other: same > 0, same ≥ other ≥ 0.
    """
    if not same >= other >= 0 or not same > 0:
        raise UsageError(f"LangnDCG needs same ≥ other ≥ 0, not same={same:g}, other={other:g}")
    gains = {
        d: relevance * (same if pool.document_language(d) == query_language else other)
        for d, relevance in pool.relevance(judged).items()
        if relevance > 0
    }
    return ndcg_of_groups(ranking, gains, pool, cutoff, members)
