"""Which options a kind of module has a use for."""

from __future__ import annotations

import typer

from polyrank.errors import UsageError
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import MODULAR, OF_KINDS

from ..checks import is_given


def check_of_use(context: typer.Context, kind: str, role: str, option: str = "kind") -> None:
    """Refuse options that training of this kind would ignore.

    Args:
        option: which one named the kind.

    Raises:
        UsageError: it names them.
    """
    part = part_of(kind, role)
    given = [name for name in OF_KINDS if is_given(context, name)]
    idle = [name for name in given if name not in part.reads]
    beside = f"--{option} {kind}" if part.recipe == MODULAR else f"--recipe {part.recipe}"
    for replaced, other in part.replaces.items():
        if not idle and replaced in given and other in given:
            idle, beside = [replaced], f"{beside} and --{other}"
    if idle:
        listed = ", ".join(f"--{name}" for name in idle)
        raise UsageError(f"{listed} would be ignored with {beside}; leave it out")
