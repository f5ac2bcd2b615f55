"""The student: some of the teacher's layers, at the teacher's width."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from polyrank.errors import UsageError

# How many teacher layers there are, and how many per student layer → a teacher layer for each.
LAYERS: dict[str, Callable[[int, int], list[int]]] = {
    "regular": lambda layers, factor: [(j + 1) * factor - 1 for j in range(layers // factor)],
    "bottom": lambda layers, factor: list(range(layers // factor)),
    "last": lambda layers, factor: list(range(layers - layers // factor, layers)),
}


def layer_map(layers: int, factor: int, name: str = "regular") -> list[int]:
    """Which teacher layer each student layer is copied from.

    'regular' is that of BiStil: student layer j from teacher layer (j + 1)·factor - 1; 'bottom'
    takes the first ones, 'last' the last ones.

    >>> layer_map(6, 2)
    [1, 3, 5]

    Raises:
        UsageError: another name, or a factor that does not divide the layers.
    """
    if name not in LAYERS:
        raise UsageError(f"unknown --layers '{name}'; use one of {', '.join(LAYERS)}")
    if factor < 1 or layers % factor:
        fitting = [str(f) for f in range(2, layers + 1) if layers % f == 0]
        raise UsageError(
            f"--factor {factor} does not divide the {layers} layers of the base; use one of "
            f"{', '.join(fitting)}"
        )
    return LAYERS[name](layers, factor)


def make_student(encoder: Any, factor: int, layers: str = "regular") -> Any:
    """A copy of an encoder with its embeddings and some of its layers, without dropout.

    Raises:
        UsageError: as `layer_map`, or an encoder whose layers cannot be found.
    """
    blocks = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(blocks, nn.ModuleList):
        raise UsageError(
            f"an encoder of type '{encoder.config.model_type}' has no 'encoder.layer' to "
            "copy from; use a base of type bert or xlm-roberta"
        )
    chosen = layer_map(len(blocks), factor, layers)
    student = copy.deepcopy(encoder)
    student.encoder.layer = nn.ModuleList(student.encoder.layer[place] for place in chosen)
    for number, block in enumerate(student.encoder.layer):
        if hasattr(block.attention.self, "layer_idx"):
            block.attention.self.layer_idx = number
    student.config.num_hidden_layers = len(chosen)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(student.config, name, 0.0)
    for part in student.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if hasattr(part, "dropout_prob"):
            part.dropout_prob = 0.0
    return student
