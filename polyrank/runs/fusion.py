"""Fuse runs: reciprocal ranks, or normalised scores summed, each run with a weight.

Every method gives each run's candidates of a query a value, and the fused score of a document is

    score(d) = Σ over runs of  weight · value(d)

A document that a run lacks gets the run's value for a missing one, which is never above that of a
document it found. A run without the query adds nothing. Ties are broken by document id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from polyrank.collections.records import Run, ScoredDocument, ranked
from polyrank.collections.texts import Runs, run_of
from polyrank.errors import UsageError

K = 60  # of reciprocal rank fusion, as in the paper

Values = tuple[Mapping[str, float], float]  # document id -> value, and that of a missing document
Method = Callable[[Sequence[ScoredDocument]], Values]


def reciprocal_ranks(hits: Sequence[ScoredDocument], k: int = K) -> Values:
    """1 / (k + rank), ranks from 1; 0 when missing (Cormack et al., SIGIR 2009).

    >>> reciprocal_ranks([ScoredDocument("q", "a", 9.0)])
    ({'a': 0.01639344262295082}, 0.0)
    """
    return {hit.document_id: 1 / (k + rank) for rank, hit in enumerate(ranked(hits), 1)}, 0.0


def min_max(hits: Sequence[ScoredDocument]) -> Values:
    """(score - lowest) / (highest - lowest), from 0 to 1; 0 when missing.

    Where all scores are equal, or there is one candidate, every one gets 1: it was found.
    """
    low, high = min(hit.score for hit in hits), max(hit.score for hit in hits)
    if low == high:
        return {hit.document_id: 1.0 for hit in hits}, 0.0
    return {hit.document_id: (hit.score - low) / (high - low) for hit in hits}, 0.0


def z_score(hits: Sequence[ScoredDocument]) -> Values:
    """(score - mean) / standard deviation of the candidates; the lowest of these when missing.

    Where all scores are equal, or there is one candidate, every one gets 0, a missing one too: such
    a run does not change the order.
    """
    scores = [hit.score for hit in hits]
    if min(scores) == max(scores):
        return {hit.document_id: 0.0 for hit in hits}, 0.0
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    values = {hit.document_id: (hit.score - mean) / deviation for hit in hits}
    return values, min(values.values())


def maximum(hits: Sequence[ScoredDocument]) -> Values:
    """The scores as they are, for `fuse` to take the highest of; for runs of one scorer."""
    return {hit.document_id: hit.score for hit in hits}, -math.inf


METHODS: dict[str, Method] = {
    "rrf": reciprocal_ranks,
    "min-max": min_max,
    "z-score": z_score,
    "max": maximum,
}
NORMALISATIONS = ("min-max", "z-score")  # of scores that are interpolated


def fuse(
    runs: Sequence[Runs],
    method: str = "rrf",
    weights: Sequence[float] | None = None,
    depth: int | None = None,
    k: int = K,
) -> Run:
    """One run from several.

    Args:
        runs: any number of them; a query needs to be in one only. Their order of hits is not
            trusted: ranks are by score, then by document id.
        method: 'rrf', 'min-max', 'z-score', or 'max', which takes the highest score of any run as
            it is and has no weights.
        weights: one per run, zero or more; 1 each by default.
        depth: keep the first so many documents of a query; all by default.
        k: of 'rrf', zero or more; the higher, the less the first ranks stand out.

    Returns:
        Query id → fused documents, best first, queries in the order in which the runs name them.

    Raises:
        UsageError: no runs, an unknown method, weights that do not fit, a depth below 1, a k below
            0, or a run with a document twice for a query or a score that is not finite.
    """
    if method not in METHODS:
        raise UsageError(f"unknown fusion '{method}'; use one of {', '.join(METHODS)}")
    if not runs:
        raise UsageError("there is nothing to fuse; give at least one run")
    if depth is not None and depth < 1:
        raise UsageError(f"depth is {depth}; give 1 or more")
    if k < 0:
        raise UsageError(f"k is {k}; give zero or more")
    found = [run_of(run) for run in runs]
    values_of = partial(reciprocal_ranks, k=k) if method == "rrf" else METHODS[method]
    factors = _checked(weights, len(found), method)
    queries = dict.fromkeys(query_id for run in found for query_id in run)
    fused: Run = {}
    for query_id in queries:
        # A run that found nothing for a query adds nothing to it.
        parts = [
            (run[query_id], w) for run, w in zip(found, factors, strict=True) if run.get(query_id)
        ]
        values = [(*values_of(_sound(hits)), weight) for hits, weight in parts]
        scores = _highest(values) if method == "max" else _summed(values)
        hits = ranked(ScoredDocument(query_id, i, score) for i, score in scores.items())
        fused[query_id] = hits[:depth]
    return fused


def interpolate(first: Runs, reranked: Runs, weight: float, normalise: str = "min-max") -> Run:
    """(1 − weight) · first stage + weight · reranker, each normalised over a query's candidates.

    Scores keep nine digits, so that the order survives writing.

    Args:
        first: the first stage's run.
        reranked: the reranker's scores of its candidates. What it left out is left out here.
        weight: of the reranker, from 0 to 1.
        normalise: 'min-max' or 'z-score'.

    Raises:
        UsageError: another normalisation, a weight outside 0 to 1, or a reranked candidate that the
            first stage lacks.
    """
    if normalise not in NORMALISATIONS:
        raise UsageError(f"scores are normalised by {' or '.join(NORMALISATIONS)}, not {normalise}")
    if not 0 <= weight <= 1:
        raise UsageError(f"the weight is {weight}; give 0 (the first stage) to 1 (the reranker)")
    first, reranked = run_of(first), run_of(reranked)
    kept = {query: {hit.document_id for hit in hits} for query, hits in reranked.items()}
    both = {
        query: [hit for hit in first.get(query, []) if hit.document_id in documents]
        for query, documents in kept.items()
    }
    for query, documents in kept.items():
        if foreign := documents - {hit.document_id for hit in both[query]}:
            raise UsageError(
                f"the first stage has not found '{min(foreign)}' for query '{query}', which is "
                "reranked; give the run that the reranker reordered, first"
            )
    mixed = fuse([both, reranked], normalise, [1 - weight, weight])
    return {
        query: ranked(replace(hit, score=float(f"{hit.score:.9g}")) for hit in hits)
        for query, hits in mixed.items()
    }


def _summed(parts: Sequence[tuple[Mapping[str, float], float, float]]) -> dict[str, float]:
    """Σ weight · value; `fsum`, so that the order of the runs cannot make or break a tie."""
    return {
        i: math.fsum(weight * values.get(i, missing) for values, missing, weight in parts)
        for i in dict.fromkeys(i for values, _, _ in parts for i in values)
    }


def _highest(parts: Sequence[tuple[Mapping[str, float], float, float]]) -> dict[str, float]:
    return {
        i: max(values.get(i, missing) for values, missing, _ in parts)
        for i in dict.fromkeys(i for values, _, _ in parts for i in values)
    }


def _checked(weights: Sequence[float] | None, runs: int, method: str) -> Sequence[float]:
    if weights is None:
        return [1.0] * runs
    if method == "max":
        raise UsageError("fusion by 'max' compares scores as they are; leave out the weights")
    if len(weights) != runs:
        raise UsageError(f"{len(weights)} weights for {runs} runs; give one per run")
    if not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise UsageError(f"the weights {list(weights)} must be zero or more, and not all zero")
    return weights


def _sound(hits: Sequence[ScoredDocument]) -> Sequence[ScoredDocument]:
    seen: set[str] = set()
    for hit in hits:
        if not math.isfinite(hit.score):
            raise UsageError(f"query '{hit.query_id}', '{hit.document_id}': score {hit.score}")
        if hit.document_id in seen:
            raise UsageError(f"query '{hit.query_id}' has the document '{hit.document_id}' twice")
        seen.add(hit.document_id)
    return hits
