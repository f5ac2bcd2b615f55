"""nDCG over parallel groups, the common part of semantic nDCG and Lang-nDCG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2

from polyrank.errors import UsageError
from polyrank.evaluation.pool import Pool

MEMBERS = ("all", "first")


def ndcg_of_groups(
    ranking: Sequence[str],
    gains: Mapping[str, float],
    pool: Pool,
    cutoff: int | None,
    members: str,
) -> float:
    """DCG@k / ideal DCG@k, discount 1 / log2(rank + 1), as nDCG of trec_eval.

    Args:
        ranking: document ids, best first.
        gains: document → gain; a document that is absent has none.
        cutoff: k; None for the whole ranking.
        members: 'all' counts every member of a group, and the ideal ranking has them all; 'first'
            counts the first member that the ranking has of a group, and the ideal ranking has the
            best member of each. A later member of the group keeps its rank and adds nothing.

    Returns:
        0 to 1; 0 where nothing has a gain.
    """
    if members not in MEMBERS:
        raise UsageError(f"members is {members!r}; choose 'all' or 'first'")
    if members == "all":
        found = [gains.get(document_id, 0.0) for document_id in ranking[:cutoff]]
        ideal = sorted(gains.values(), reverse=True)
    else:
        found, seen = [], set()
        for document_id in ranking[:cutoff]:
            group = pool.group(document_id)
            found.append(0.0 if group in seen else gains.get(document_id, 0.0))
            seen.add(group)
        best: dict[str, float] = {}
        for document_id, gain in gains.items():
            group = pool.group(document_id)
            best[group] = max(gain, best.get(group, 0.0))
        ideal = sorted(best.values(), reverse=True)
    most = _dcg(ideal[:cutoff])
    return _dcg(found) / most if most else 0.0


def _dcg(gains: Iterable[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))
