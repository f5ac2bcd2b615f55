"""Semantic nDCG: was the meaning found, in whatever language?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polyrank.evaluation.gains import ndcg_of_groups
from polyrank.evaluation.pool import Pool


def semantic_ndcg(
    ranking: Sequence[str],
    judged: Mapping[str, int],
    query_language: str,
    pool: Pool,
    cutoff: int | None = None,
    members: str = "all",
) -> float:
    """nDCG@k in which every translation of a relevant passage is as relevant as the passage.

    A reconstruction after MLAIRE (arXiv 2605.07249), whose formula was not at hand. That all
    members count by default is read from its figures: BM25 is reported with .2792 on a pool of
    seven languages, and a ranking that finds the query-language member alone, at rank 1, has
    1 / Σ_{i=1..7} 1 / log2(i + 1) = .275.

    Args:
        ranking: document ids, best first.
        judged: document id → relevance, of this query.
        query_language: not used; every language-aware measure has the same arguments.
        pool: languages and groups.
        cutoff: k; None for the whole ranking.
        members: of a group, 'all' count, or the 'first' in the ranking; see `ndcg_of_groups`.
    """
    gains = {d: float(relevance) for d, relevance in pool.relevance(judged).items()}
    return ndcg_of_groups(ranking, gains, pool, cutoff, members)
