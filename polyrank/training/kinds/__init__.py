"""How each kind of module is trained: one row a kind, one file a row; see `contract`.

Needs no torch, so that a command line can list the kinds.
"""

from __future__ import annotations

from polyrank.errors import UsageError
from polyrank.training.kinds.adapter import Adapter
from polyrank.training.kinds.contract import Part, TrainedKind
from polyrank.training.kinds.full import Full
from polyrank.training.kinds.mask import Mask

ADAPTER, MASK, FULL = Adapter(), Mask(), Full()

TRAINING: dict[str, TrainedKind] = {"adapter": ADAPTER, "mask": MASK, "full": FULL}


def kinds_for(role: str) -> tuple[str, ...]:
    """The kinds that can be trained for a role; the first one is the usual one."""
    return tuple(kind for kind, trained in TRAINING.items() if role in trained.parts)


def teaching_kinds() -> tuple[str, ...]:
    """The kinds whose modules can be a teacher in distillation."""
    return tuple(kind for kind, trained in TRAINING.items() if trained.teaching is not None)


def part_of(kind: str, role: str) -> Part:
    """How a kind is trained for a role.

    Raises:
        UsageError: a kind that cannot be.
    """
    if kind not in TRAINING or role not in TRAINING[kind].parts:
        raise UsageError(
            f"a module of the kind '{kind}' cannot be trained for the role '{role}'; use one of "
            f"{', '.join(kinds_for(role))}"
        )
    return TRAINING[kind].parts[role]


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
            fitting = [k for k in kinds_for(role) if option in TRAINING[k].parts[role].reads]
            raise UsageError(
                f"--{option} would be ignored with the kind '{kind}'; leave it out, or use the "
                f"kind {' or '.join(fitting)}"
            )
