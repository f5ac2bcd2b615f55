"""LPR, the language preference rate: of what was found, how often first in the query's language?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from polyrank.evaluation.pool import Pool


def language_preference(
    ranking: Sequence[str],
    judged: Mapping[str, int],
    query_language: str,
    pool: Pool,
    cutoff: int | None = None,
    rel: int = 1,
) -> float:
    """1 when the best-ranked relevant document is in the query's language, else 0.

    The mean over queries is the rate. Where a group exists once in each of L languages and the
    language of what comes first is chosen by chance, it is 1 / L. A reconstruction after MLAIRE
    (arXiv 2605.07249), whose formula was not at hand.

    Args:
        ranking, judged, query_language, pool: as in `semantic_ndcg`.
        cutoff: look at the first k documents only.
        rel: relevant means at least this.

    Returns:
        nan, for undefined, where no relevant document is ranked, or where none exists in the
        query's language, so that it could not be preferred.
    """
    relevant = {d for d, relevance in pool.relevance(judged).items() if relevance >= rel}
    languages = {d: pool.document_language(d) for d in relevant}
    if query_language not in languages.values():
        return nan
    for document_id in ranking[:cutoff]:
        if document_id in relevant:
            return float(languages[document_id] == query_language)
    return nan
