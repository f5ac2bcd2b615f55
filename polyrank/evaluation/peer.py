"""PEER, the probability of equal expected rank: are all languages ranked alike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose, isnan, nan

from polyrank.errors import UsageError
from polyrank.evaluation.pool import Pool


def peer(
    ranking: Sequence[str],
    judged: Mapping[str, int],
    query_language: str,
    pool: Pool,
    cutoff: int | None = None,
    weights: Mapping[int, float] | None = None,
) -> float:
    """p-value of the Kruskal–Wallis test that documents of all languages rank alike.

    Yang et al. 2024 (arXiv 2405.00978): at each relevance level the ranks of the documents of that
    level, grouped by language, are tested, and the p-values are summed with weights. 1 is fair,
    near 0 is not. The test is SciPy's, which ranks the documents of a level among themselves and
    corrects for ties; the authors' package `peer_measure` takes ranks in the whole list, so values
    differ from its. As there, a relevant document that is not ranked ties with all others that are
    not, behind those that are, and a level with documents of one language only, or none ranked,
    is fair.

    It needs several documents of a level in each language. Where each of L languages has one, as in
    the bundled collections, H is L - 1 whatever their order, and PEER says only whether any was
    ranked.

    Args:
        ranking, judged, pool: as in `semantic_ndcg`.
        query_language: not used.
        cutoff: only the first k documents are ranked.
        weights: relevance level → weight, summing to 1. Level 0 are the ranked documents that are
            not relevant. None weighs alike the levels above 0 at which the query has documents.

    Returns:
        0 to 1; nan, for undefined, where nothing is relevant and no weights are given.
    """
    if weights is not None and not isclose(sum(weights.values()), 1.0):
        raise UsageError(
            f"the weights of PEER sum to {sum(weights.values()):g}; they must sum to 1"
        )
    relevance = pool.relevance(judged)
    if weights is None:
        levels = sorted({level for level in relevance.values() if level > 0})
        weights = {level: 1 / len(levels) for level in levels}
        if not levels:
            return nan
    ranks = {document_id: rank for rank, document_id in enumerate(ranking[:cutoff], start=1)}
    return sum(w * _fair(level, relevance, ranks, pool) for level, w in weights.items() if w)


def _fair(level: int, relevance: Mapping[str, int], ranks: Mapping[str, int], pool: Pool) -> float:
    """The p-value at one level of relevance."""
    from scipy.stats import kruskal

    if level > 0:
        documents = [d for d, value in relevance.items() if value == level]
    else:
        documents = [d for d in ranks if relevance.get(d, 0) == 0]
    behind = len(ranks) + 1
    by_language: dict[str, list[int]] = {}
    for document_id in documents:
        row = by_language.setdefault(pool.document_language(document_id), [])
        row.append(ranks.get(document_id, behind))
    if len(by_language) < 2 or len({rank for row in by_language.values() for rank in row}) < 2:
        return 1.0
    p = float(kruskal(*by_language.values()).pvalue)
    return 1.0 if isnan(p) else p
