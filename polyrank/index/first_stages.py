"""The first stages that polyrank searches itself."""

from __future__ import annotations

FIRST_STAGES: dict[str, tuple[str, ...]] = {  # name → the retrievers whose rankings are fused
    "bm25": ("bm25",),
    "dense": ("dense",),
    "modular": ("modular",),  # dense, each text under its own language's module
    "fused": ("bm25", "dense"),
}
