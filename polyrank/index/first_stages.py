"""The first stages that polyrank searches itself."""

from __future__ import annotations

from collections.abc import Iterable

from polyrank.base import base_name, is_for_retrieval
from polyrank.composition.plan import without_module

FIRST_STAGES: dict[str, tuple[str, ...]] = {  # name → the retrievers whose rankings are fused
    "bm25": ("bm25",),
    "dense": ("dense",),
    "modular": ("modular",),  # dense, each text under its own language's module
    "fused": ("bm25", "dense"),
}


def default_first_stage(base: str, languages: Iterable[str | None] = ()) -> str:
    """What searches unless told otherwise: 'modular', where modules are for what is searched.

    On development data language modules raised dense retrieval in every language that was measured
    (docs/results.md). It is 'dense' over a base that is not for retrieval, whose language modules
    learn from masked tokens alone. It is 'dense', too, where a language has no module: its
    questions find fewer passages among those that were encoded with modules.

    Args:
        base: name, folder or Hub id.
        languages: of the queries and the documents; None where it is not named.
    """
    named = [language for language in languages if language]
    if not is_for_retrieval(base) or without_module(base_name(base), named):
        return "dense"
    return "modular"
