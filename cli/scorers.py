"""The scorer that options ask for, here or on a Ray cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polyrank.errors import ModuleError, UsageError
from polyrank.messages import note

from .options import Fallback, Kind, Routing
from .ray_workers import asks_for_ray, pool_of

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.collections.records import Collection, Run
    from polyrank.composition.saved import SavedComposition
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.rerankers.cross_encoder import CrossEncoder
    from polyrank.rerankers.modular import Reranker
    from polyrank.rerankers.scoring import Scorer
    from polyrank.scale_out import RayScorer

    Local = Reranker | LateInteraction | CrossEncoder

DEFAULT_RANKING = "squad"  # of a cross-encoder
KEPT = 1 << 28  # bytes of document vectors

WITHOUT_MODULE = (
    "no ranking module of that kind for this base: late interaction over the base alone"
)


def routing_for(kind: Kind, routing: Routing | None, ranking_kind: Kind | None = None) -> str:
    """The routing that was asked for, or the usual one of the kinds."""
    if routing is not None:
        return routing.value
    if ranking_kind is Kind.full:
        return "none"
    return {Kind.adapter: "split", Kind.mask: "document", Kind.full: "none"}[kind]


def reranker(
    base: str,
    ranking: str | None,
    kind: Kind,
    routing: Routing | None,
    fallback: Fallback,
    max_length: int,
    device: str | None,
    dtype: str | None,
    seed: int,
    ranking_kind: Kind | None = None,
    keep: bool = False,
) -> Reranker | LateInteraction:
    """A cross-encoder, or late interaction where the ranking module is for that.

    Args:
        ranking: a module, or 'none' for late interaction over the base alone. None takes late
            interaction over a base whose vectors are for retrieval, with `squad-li` where the zoo
            has it, and over other bases the cross-encoder `squad`.
        keep: whether late interaction keeps document vectors from one query to the next.
    """
    import torch

    from polyrank.late_interaction.model import LateInteraction
    from polyrank.rerankers.modular import Reranker

    torch.manual_seed(seed)
    of_ranking = (ranking_kind or kind).value
    loaded, ranking = _with_ranking(base, ranking, of_ranking)
    if _is_late(loaded, ranking, of_ranking):
        return LateInteraction(
            loaded,
            ranking,
            of_ranking,
            routing and routing.value,
            fallback=fallback.value,
            document_length=max_length,
            device=device,
            dtype=dtype,
            language_kind=kind.value if ranking_kind and kind is not Kind.full else None,
            keep=KEPT if keep else 0,
        )
    return Reranker(
        base=loaded,
        ranking=ranking,
        kind=kind.value,
        ranking_kind=of_ranking,
        routing=routing_for(kind, routing, ranking_kind),
        fallback=fallback.value,
        max_length=max_length,
        device=device,
        dtype=dtype,
    )


def _with_ranking(base: str, ranking: str | None, kind: str) -> tuple[str | Base, str]:
    if ranking is not None:
        return base, ranking
    from polyrank.base import load_base
    from polyrank.modules.projection import DEFAULT_RANKING as LATE_RANKING
    from polyrank.modules.projection import NO_RANKING
    from polyrank.zoo.find import list_modules

    loaded = load_base(base)
    there = {entry.card.name for entry in list_modules(loaded.name, "ranking", kind)}
    if not loaded.card.vectors:
        return loaded, DEFAULT_RANKING
    if LATE_RANKING in there:
        return loaded, LATE_RANKING
    note(WITHOUT_MODULE)
    return loaded, NO_RANKING


def _is_late(base: str | Base, ranking: str, kind: str) -> bool:
    """Whether a ranking module scores by MaxSim; of one that is missing, the reranker will tell."""
    from polyrank.base import base_name
    from polyrank.late_interaction.checkpoints import is_checkpoint
    from polyrank.modules.projection import NO_RANKING, is_late_interaction
    from polyrank.zoo.find import find

    if ranking == NO_RANKING or is_checkpoint(ranking):
        return True
    name = base_name(base) if isinstance(base, str) else base.name
    try:
        return is_late_interaction(find(name, "ranking", kind, ranking))
    except ModuleError:
        return False


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

    from polyrank.rerankers.cross_encoder import CrossEncoder

    torch.manual_seed(seed)
    return CrossEncoder(model, max_length=max_length, device=device, dtype=dtype)


def identity(scorer: Reranker | LateInteraction | CrossEncoder) -> dict[str, str]:
    """Of which weights the scores are, for a later --resume."""
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.rerankers.cross_encoder import CrossEncoder

    if isinstance(scorer, CrossEncoder):
        return scorer.identity()
    from polyrank.modules.card import read_card
    from polyrank.zoo.find import find, list_modules

    rules: dict[str, str] = {}
    if isinstance(scorer, LateInteraction):
        language_kind, files = scorer.language_kind, scorer.ranking_files()
        rules = {"rules": json.dumps(scorer.rules.record())}
    else:
        place = (scorer.base.name, "ranking", scorer.ranking_kind, scorer.ranking)
        language_kind = scorer.kind
        files = dict(read_card(find(*place, scorer.zoo), verify=False).files)
    weights = ", ".join(f"{name} {files[name][:12]}" for name in sorted(files))
    found = {"base weights": str(scorer.base.fingerprint), "ranking weights": weights, **rules}
    if scorer.routing != "none":  # any of them may be used: languages are known as texts come
        modules = list_modules(scorer.base.name, "language", language_kind, zoo=scorer.zoo)
        every = sorted(f"{m.card.name} {sorted(m.card.files.items())}" for m in modules)
        digest = hashlib.sha256("\n".join(every).encode()).hexdigest()[:12]
        found["language weights"] = f"{len(every)} modules {digest}"
    return found


@contextmanager
def scaled_out(
    scorer: Local,
    build: Callable[[], Local],
    ray: str | None,
    workers: int | None,
) -> Iterator[Local | RayScorer]:
    """The scorer itself, or workers of a Ray cluster that build the same one.

    Raises:
        UsageError: without Ray, or where a worker finds other weights.
    """
    if not asks_for_ray(ray, workers):
        yield scorer
        return
    from polyrank.scale_out import RayScorer

    expected = identity(scorer)

    def check(made: Local) -> None:
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
    from polyrank.rerankers.scoring import rerank_queries

    work = [
        (texts.queries[query_id], [texts.documents[hit.document_id] for hit in hits])
        for query_id, hits in found.items()
        if hits
    ]
    ranked = track(rerank_queries(scorer, work), "reranking", len(work))
    return {query.id: hits for query, hits in ranked}
