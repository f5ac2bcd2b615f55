"""The reranker that options ask for, as a spec, and what it has to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from polyrank.progress import note

from .options import Fallback, Kind, Routing

if TYPE_CHECKING:
    from polyrank.rerankers.base import Reranker
    from polyrank.rerankers.load import RerankerSpec

KEPT = 1 << 28  # bytes of document vectors, where one process reranks several queries


def routing_for(kind: Kind, routing: Routing | None, ranking_kind: Kind | None = None) -> str:
    """The routing that was asked for, or the usual one of the kinds."""
    from polyrank.composition.plan import usual_routing

    return routing.value if routing else usual_routing(kind.value, (ranking_kind or kind).value)


def module_options(
    base: str,
    ranking: str | None,
    kind: Kind,
    ranking_kind: Kind | None,
    routing: Routing | None,
    fallback: Fallback,
) -> dict[str, Any]:
    """What options say of modules, as fields of `RerankerSpec`."""
    return {
        "base": base,
        "ranking": ranking,
        "kind": kind.value,
        "ranking_kind": ranking_kind and ranking_kind.value,
        "routing": routing and routing.value,
        "fallback": fallback.value,
    }


def settings_of(spec: RerankerSpec, reranker: Reranker) -> dict[str, Any]:
    """What scores depend on, as `rerank --resume` compares it: options and hashes of weights."""
    from polyrank.composition.plan import usual_routing
    from polyrank.composition.saved import SavedComposition
    from polyrank.rerankers.load import DEFAULT_RANKING

    saved = spec.composition
    return {
        "model": spec.model,
        "base": spec.base,
        "ranking": getattr(reranker, "ranking", DEFAULT_RANKING),
        "kind": spec.kind,
        "ranking-kind": spec.of_ranking,
        "routing": getattr(
            reranker, "routing", spec.routing or usual_routing(spec.kind, spec.ranking_kind)
        ),
        "fallback": spec.fallback,
        "composition": saved.to_json() if isinstance(saved, SavedComposition) else saved,
        "max-length": spec.max_length,
        "device": spec.device,
        "dtype": spec.dtype,
        "seed": spec.seed,
        **reranker.identity(),
    }


def report(noted: Any) -> None:
    """What was assumed or cut, on stderr: of notes, or of what has some."""
    notes = noted if isinstance(noted, Mapping) else getattr(noted, "notes", {})
    for message, times in notes.items():
        note(f"{message} ({times} times)" if times > 1 else message)
