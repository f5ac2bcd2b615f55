"""Which options a kind of module has a use for."""

from __future__ import annotations

import typer

from polyrank.errors import UsageError

from ..checks import is_given

MASK_ONLY = ("k", "full-steps", "l1", "freeze-norms", "candidates", "iterations")
WITHOUT_USE: dict[str, tuple[str, ...]] = {  # options that a kind has no use for
    "adapter": (*MASK_ONLY, "half"),
    "mask": ("half", "start"),
    "full": (*MASK_ONLY, "reduction", "over"),
    "colbert-xm": (*MASK_ONLY, "reduction"),  # a full model, but over a language module
}


def check_of_use(context: typer.Context, kind: str) -> None:
    """Refuse options that training of this kind would ignore."""
    idle = [name for name in WITHOUT_USE[kind] if is_given(context, name)]
    if kind == "mask" and is_given(context, "k") and is_given(context, "reduction"):
        idle = ["reduction"]  # it only says how large k is
    if idle:
        named = {"mask": "--kind mask and --k", "colbert-xm": "--recipe colbert-xm"}
        beside = named.get(kind, f"--kind {kind}")
        listed = ", ".join(f"--{name}" for name in idle)
        raise UsageError(f"{listed} would be ignored with {beside}; leave it out")
