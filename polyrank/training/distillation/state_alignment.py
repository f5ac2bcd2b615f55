"""How far a student's states and attention are from its teacher's (Ansell et al. 2023, §3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.training.loop.processes import shared_mean


@dataclass(frozen=True, eq=False)
class States:
    """What a model computed on a batch.

    Attributes:
        hidden: the embeddings' output and each layer's, (B, L, H) each.
        attention: each layer's probabilities, (B, heads, L, L).
    """

    hidden: Sequence[Tensor]
    attention: Sequence[Tensor]

    @classmethod
    def of(cls, output: Any) -> States:
        """Of a Hugging Face output.

        Raises:
            UsageError: a layout that gives no attention probabilities.
        """
        return cls(output.hidden_states, with_probabilities(output.attentions))


def with_probabilities(attention: Sequence[Tensor | None] | None) -> list[Tensor]:
    """Each layer's attention, where a layout gives it.

    Raises:
        UsageError: none, or a layer without.
    """
    given = [layer for layer in attention or () if layer is not None]
    if not given or len(given) != len(attention or ()):
        raise UsageError(
            "this encoder gives no attention probabilities, which distillation compares with the "
            "teacher's.\nUse a base of type bert or xlm-roberta."
        )
    return given


def hidden_mse(student: States, teacher: States, attended: Tensor) -> Tensor:
    """Mean squared distance of student state i to teacher state i·factor, i = 0 … layers.

    State 0 is the embeddings' output; factor is teacher layers over student layers. The mean runs
    over real tokens (padding does not count) and width, then over states.

    Args:
        attended: (B, L), 1 for tokens, 0 for padding.
    """
    factor = len(teacher.attention) // len(student.attention)
    real = attended.bool()
    tokens = real.sum()
    distances = [
        shared_mean(
            (state[real].float() - teacher.hidden[i * factor][real].float()).square().mean(), tokens
        )
        for i, state in enumerate(student.hidden)
    ]
    return torch.stack(distances).mean()


def attention_mse(student: States, teacher: States, attended: Tensor) -> Tensor:
    """Mean squared distance of student layer i's attention to teacher layer (i + 1)·factor - 1's.

    The mean runs over what real tokens attend to, where the teacher's probability is not exactly 0
    (as it is for padding), then over layers.
    """
    factor = len(teacher.attention) // len(student.attention)
    distances = []
    for i, mine in enumerate(student.attention):
        theirs = teacher.attention[(i + 1) * factor - 1]
        counted = attended.bool()[:, None, :, None] & (theirs != 0)
        squared = (mine.float() - theirs.float()).square() * counted
        mean = squared.sum() / counted.sum().clamp(min=1)
        distances.append(shared_mean(mean, counted.sum()))
    return torch.stack(distances).mean()


def alignment(student: States, teacher: States, attended: Tensor) -> Tensor:
    """Both, with weight 1 each."""
    return hidden_mse(student, teacher, attended) + attention_mse(student, teacher, attended)
