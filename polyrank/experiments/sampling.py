"""Which queries a pair of languages is asked, chosen before anything is measured."""

from __future__ import annotations

from dataclasses import replace

from polyrank.collections.records import Collection


def spread(collection: Collection, count: int | None, offset: int) -> Collection:
    """`count` judged queries at even distance, from another starting point for every offset.

    Ids are taken in their order as text, so the sample is the same on every machine. Queries
    without judgements are never taken.

    Args:
        count: None for all; fewer are taken only where there are fewer.
    """
    judged = {judgement.query_id for judgement in collection.qrels}
    ids = sorted(judged & collection.queries.keys())
    if count is not None and count < len(ids):
        step = len(ids) // count
        ids = ids[offset % step :: step][:count]
    kept = set(ids)
    return replace(
        collection,
        queries={i: q for i, q in collection.queries.items() if i in kept},
        qrels=[j for j in collection.qrels if j.query_id in kept],
    )
