"""A loss with the name it is typed by; each loss's file ends with its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from polyrank.training.losses.sums import Parameter

TEMPERATURE: Mapping[str, Parameter] = {"temperature": Parameter(1.0)}


@dataclass(frozen=True)
class Named:
    """A loss that has a name.

    Attributes:
        name: as it is typed; the function's own name is understood too.
        function: of (scores (B, N), teacher (B, N) or None, mask (B, N)) and the parameters.
        summary, source: for the list of losses.
        needs_teacher: whether it compares with a teacher's scores.
        parameters: numbers that it takes, by name.
        in_batch: it takes the scores of every query with every passage of a batch, (B, M), and the
            columns of the positives in place of a teacher.
    """

    name: str
    function: Callable[..., Tensor]
    summary: str
    source: str
    needs_teacher: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    in_batch: bool = False
