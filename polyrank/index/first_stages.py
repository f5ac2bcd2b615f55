"""The first stages that polyrank searches itself."""

from __future__ import annotations

from polyrank.base import is_for_retrieval

FIRST_STAGES: dict[str, tuple[str, ...]] = {  # name → the retrievers whose rankings are fused
    "bm25": ("bm25",),
    "dense": ("dense",),
    "modular": ("modular",),  # dense, each text under its own language's module
    "fused": ("bm25", "dense"),
}


def default_first_stage(base: str) -> str:
    """What searches unless told otherwise: 'modular', for a base whose vectors are for retrieval.

    On development data language modules raised dense retrieval in every language that was measured
    (docs/results.md); a language without module is read by the base alone. Over any other base
    'dense', as its language modules learn from masked tokens alone.
    """
    return "modular" if is_for_retrieval(base) else "dense"
