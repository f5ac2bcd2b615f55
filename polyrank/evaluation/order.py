"""The order in which trec_eval sees a ranking; the order of written runs is `records.ranked`."""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.collections.records import ScoredDocument


def trec_eval_order(hits: Sequence[ScoredDocument]) -> list[str]:
    """Document ids as trec_eval 9 ranks them.

    It keeps scores in single precision, so scores that differ in the eighth digit are equal, and
    breaks ties by document id downwards, byte by byte (`comp_sim_docno` in form_res_rels.c; in
    UTF-8 that is the order of code points, and so of Python's strings). trec_eval from 10 on keeps
    double precision: there fewer scores tie.

    >>> hits = [ScoredDocument("q", d, s) for d, s in [("a", 1.0), ("b", 1.0), ("c", 2.0)]]
    >>> trec_eval_order(hits)
    ['c', 'b', 'a']
    """
    import numpy as np

    with np.errstate(over="ignore"):  # 1e300 becomes infinite there, too
        scores = np.array([hit.score for hit in hits], dtype=np.float64).astype(np.float32)
    keyed = zip(scores.tolist(), (hit.document_id for hit in hits), strict=True)
    return [document_id for _, document_id in sorted(keyed, reverse=True)]
