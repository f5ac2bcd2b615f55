"""The four-way split of what stands at rank 1: right or wrong meaning, same or other language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from polyrank.evaluation.pool import Pool

OUTCOMES = {  # name → (right meaning?, query's language?)
    "RightSame": (True, True),
    "RightOther": (True, False),  # a failure of preference
    "WrongSame": (False, True),  # a failure of meaning
    "WrongOther": (False, False),
}


def outcome(
    ranking: Sequence[str],
    judged: Mapping[str, int],
    query_language: str,
    pool: Pool,
    right: bool = True,
    same: bool = True,
    rel: int = 1,
) -> float:
    """1 when rank 1 has this outcome, else 0: the mean over queries is its share.

    The four shares sum to 1. After MLAIRE (arXiv 2605.07249), whose formula was not at hand.

    Args:
        ranking, judged, query_language, pool: as in `semantic_ndcg`.
        right: the document, or a translation of it, is relevant.
        same: it is in the query's language.
        rel: relevant means at least this.

    Returns:
        nan, for undefined, where nothing is ranked.
    """
    if not ranking:
        return nan
    first = ranking[0]
    relevant = pool.relevance(judged).get(first, 0) >= rel
    in_language = pool.document_language(first) == query_language
    return float((relevant, in_language) == (right, same))
