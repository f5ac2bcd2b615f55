"""How two masks get along: which coordinates both change, and where they pull apart.

Sparsity is what keeps composed masks from interfering (Ansell et al. 2022, arXiv 2110.07560, §2);
this measures how far it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from polyrank.modules.mask.sparse import Differences, SparseDifference


@dataclass(frozen=True)
class Shared:
    """Of one tensor, or of all: coordinates that each mask changes, that both do, that conflict."""

    first: int
    second: int
    both: int
    conflicts: int  # of `both`: changed in opposite directions

    def __add__(self, other: Shared) -> Shared:
        return Shared(
            self.first + other.first,
            self.second + other.second,
            self.both + other.both,
            self.conflicts + other.conflicts,
        )


@dataclass(frozen=True)
class Overlap:
    """Two masks side by side, by tensor; prints itself as a table.

    Attributes:
        tensors: by name, every tensor that either mask changes.
    """

    tensors: Mapping[str, Shared]

    @property
    def total(self) -> Shared:
        return sum(self.tensors.values(), Shared(0, 0, 0, 0))

    def __str__(self) -> str:
        header = ("tensor", "first", "second", "both", "conflicts")
        counted = [*self.tensors.items(), ("total", self.total)]
        rows = [header] + [
            (name, *map(str, (s.first, s.second, s.both, s.conflicts))) for name, s in counted
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = []
        for name, *numbers in rows:
            cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *cells]))
        return "\n".join(lines)


def overlap(first: Differences, second: Differences) -> Overlap:
    """Compare two masks coordinate by coordinate.

    Args:
        first, second: of one base, e.g. `MaskModule.differences`.
    """
    names = dict.fromkeys([*first, *second])
    return Overlap({name: _shared(first.get(name), second.get(name)) for name in names})


def _shared(first: SparseDifference | None, second: SparseDifference | None) -> Shared:
    if first is None or second is None:
        return Shared(_size(first), _size(second), 0, 0)
    ours = torch.isin(first.indices, second.indices, assume_unique=True)
    theirs = torch.isin(second.indices, first.indices, assume_unique=True)
    signs = first.values[ours].sign().float() * second.values[theirs].sign().float()
    return Shared(_size(first), _size(second), int(ours.sum()), int((signs < 0).sum()))


def _size(difference: SparseDifference | None) -> int:
    return 0 if difference is None else len(difference.indices)
