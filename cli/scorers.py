"""The scorer that options ask for, here or on a Ray cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError
from polyrank.messages import note

from .options import Fallback, Kind, Routing
from .ray_workers import asks_for_ray, pool_of

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Run
    from polyrank.rerankers.cross_encoder import Reranker
    from polyrank.rerankers.standalone import CrossEncoder
    from polyrank.saved_composition import SavedComposition
    from polyrank.scale_out import RayScorer
    from polyrank.scoring import Scorer


def routing_for(kind: Kind, routing: Routing | None, ranking_kind: Kind | None = None) -> str:
    """The routing that was asked for, or the usual one of the kinds."""
    if routing is not None:
        return routing.value
    if ranking_kind is Kind.full:
        return "none"
    return {Kind.adapter: "split", Kind.mask: "document", Kind.full: "none"}[kind]


def reranker(
    base: str,
    ranking: str,
    kind: Kind,
    routing: Routing | None,
    fallback: Fallback,
    max_length: int,
    device: str | None,
    dtype: str | None,
    seed: int,
    ranking_kind: Kind | None = None,
) -> Reranker:
    import torch

    from polyrank.rerankers.cross_encoder import Reranker

    torch.manual_seed(seed)
    return Reranker(
        base=base,
        ranking=ranking,
        kind=kind.value,
        ranking_kind=(ranking_kind or kind).value,
        routing=routing_for(kind, routing, ranking_kind),
        fallback=fallback.value,
        max_length=max_length,
        device=device,
        dtype=dtype,
    )


def composed(
    composition: SavedComposition,
    base: str,
    max_length: int,
    device: str | None,
    dtype: str | None,
    seed: int,
) -> Reranker:
    """A reranker for a composition that was planned before."""
    import torch

    from polyrank.rerankers.composed import ComposedReranker

    torch.manual_seed(seed)
    return ComposedReranker(composition, base, max_length=max_length, device=device, dtype=dtype)


def standalone(
    model: str, max_length: int, device: str | None, dtype: str | None, seed: int
) -> CrossEncoder:
    """A model of its own, without modules."""
    import torch

    from polyrank.rerankers.standalone import CrossEncoder

    torch.manual_seed(seed)
    return CrossEncoder(model, max_length=max_length, device=device, dtype=dtype)


def identity(scorer: Reranker | CrossEncoder) -> dict[str, str]:
    """Of which weights the scores are, for a later --resume."""
    from polyrank.rerankers.standalone import CrossEncoder

    if isinstance(scorer, CrossEncoder):
        return scorer.identity()
    from polyrank.modules.card import read_card
    from polyrank.modules.search import find, list_modules

    folder = find(scorer.base.name, "ranking", scorer.ranking_kind, scorer.ranking, scorer.zoo)
    files = read_card(folder, verify=False).files
    weights = ", ".join(f"{name} {files[name][:12]}" for name in sorted(files))
    found = {"base weights": str(scorer.base.fingerprint), "ranking weights": weights}
    if scorer.routing != "none":  # any of them may be used: languages are known as texts come
        modules = list_modules(scorer.base.name, "language", scorer.kind, zoo=scorer.zoo)
        every = sorted(f"{m.card.name} {sorted(m.card.files.items())}" for m in modules)
        digest = hashlib.sha256("\n".join(every).encode()).hexdigest()[:12]
        found["language weights"] = f"{len(every)} modules {digest}"
    return found


@contextmanager
def scaled_out(
    scorer: Reranker | CrossEncoder,
    build: Callable[[], Reranker | CrossEncoder],
    ray: str | None,
    workers: int | None,
) -> Iterator[Reranker | CrossEncoder | RayScorer]:
    """The scorer itself, or workers of a Ray cluster that build the same one.

    Raises:
        UsageError: without Ray, or where a worker finds other weights.
    """
    if not asks_for_ray(ray, workers):
        yield scorer
        return
    from polyrank.scale_out import RayScorer

    expected = identity(scorer)

    def check(made: Reranker | CrossEncoder) -> None:
        if identity(made) != expected:
            raise UsageError(
                "a node of the Ray cluster has another base or other modules than this machine.\n"
                "Install the same polyrank and the same zoo on every node, at the same paths."
            )

    with pool_of(build, check, ray, workers, gpu=scorer.device.type == "cuda") as pool:
        yield RayScorer(pool)


def report(scorer: Any) -> None:
    """What a scorer or an encoder assumed or cut, on stderr."""
    for message, times in getattr(scorer, "notes", {}).items():
        note(f"{message} ({times} times)" if times > 1 else message)


def reranked(scorer: Scorer, texts: Collection, found: Run) -> Run:
    """A first stage in memory, every query in the scorer's order."""
    from polyrank.progress import track
    from polyrank.scoring import rerank_queries

    work = [
        (texts.queries[query_id], [texts.documents[hit.document_id] for hit in hits])
        for query_id, hits in found.items()
        if hits
    ]
    ranked = track(rerank_queries(scorer, work), "reranking", len(work))
    return {query.id: hits for query, hits in ranked}
