"""How each kind of module is trained: a file each, named in the kind's row; see `contract`.

Needs no torch, so that a command line can list the kinds.
"""

from __future__ import annotations

from polyrank.errors import UsageError
from polyrank.modules.kind import resolved
from polyrank.modules.kinds import KINDS
from polyrank.training.kinds.contract import Part, Teaching, TrainedKind


def trained(kind: str) -> TrainedKind:
    """How a kind is trained, as its row in `polyrank.modules.kinds.KINDS` says."""
    entry: TrainedKind = resolved(KINDS[kind].training)
    return entry


def kinds_for(role: str) -> tuple[str, ...]:
    """The kinds that can be trained for a role; the first one is the usual one."""
    return tuple(kind for kind in KINDS if role in trained(kind).parts)


def teaching_kinds() -> tuple[str, ...]:
    """The kinds whose modules can be a teacher in distillation."""
    return tuple(kind for kind in KINDS if trained(kind).teaching is not None)


def teaching_of(kind: str) -> Teaching:
    """How the modules of a kind teach in distillation.

    Raises:
        UsageError: they cannot.
    """
    teaching = trained(kind).teaching if kind in KINDS else None
    if teaching is None:
        raise UsageError(
            f"modules of the kind '{kind}' cannot teach; use {' or '.join(teaching_kinds())}"
        )
    return teaching


def part_of(kind: str, role: str) -> Part:
    """How a kind is trained for a role.

    Raises:
        UsageError: a kind that cannot be.
    """
    if kind not in KINDS or role not in trained(kind).parts:
        raise UsageError(
            f"a module of the kind '{kind}' cannot be trained for the role '{role}'; use one of "
            f"{', '.join(kinds_for(role))}"
        )
    return trained(kind).parts[role]


def check_options(kind: str, role: str, **given: bool) -> None:
    """Refuse options of a recipe that training of this kind would ignore.

    Args:
        given: by the option's name, whether it was given.

    Raises:
        UsageError: it names the option.
    """
    reads = part_of(kind, role).reads
    for option, there in given.items():
        if there and option not in reads:
            fitting = [k for k in kinds_for(role) if option in trained(k).parts[role].reads]
            raise UsageError(
                f"--{option} would be ignored with the kind '{kind}'; leave it out, or use the "
                f"kind {' or '.join(fitting)}"
            )
