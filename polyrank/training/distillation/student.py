"""The student: some of the teacher's layers, at the teacher's width, and what is put on to rank."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from polyrank.base import Base
from polyrank.composition.merge import classifier
from polyrank.errors import UsageError
from polyrank.modules.adapter.tensors import Head
from polyrank.training.distillation.layers import layer_map
from polyrank.training.loop.stack import adapter_stack


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


def full_student(encoder: Any, head: Head | None, seed: int) -> Any:
    """A sequence classifier over the student: from the teacher's head where it fits, else a new
    one."""
    torch.manual_seed(seed)
    model = classifier(encoder, head if _fits(head, encoder) else None)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model


def adapter_student(base: Base, name: str, head: Head | None, reduction: int) -> Any:
    """A new ranking adapter over the student, which stays as it is.

    Args:
        base: the student, saved in a folder.
    """
    model = adapter_stack(base, None, name, reduction)
    model.add_classification_head(name, num_labels=1, layers=2)
    if head is not None and _fits(head, base.model):
        linears = [part for part in model.heads[name] if isinstance(part, nn.Linear)]
        _fill(linears, head)
    return model


def _fits(head: Head | None, encoder: Any) -> bool:
    width = encoder.config.hidden_size
    return (
        head is not None
        and head.activation == "tanh"
        and [tuple(weight.shape) for weight, _ in head.layers] == [(width, width), (1, width)]
    )


@torch.no_grad()
def _fill(linears: Any, head: Head) -> None:
    for linear, (weight, bias) in zip(linears, head.layers, strict=True):
        linear.weight.copy_(weight)
        linear.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)


def size(model: Any, pooler: bool = True) -> int:
    """Parameters; the pooler is a part of BERT's own head, and idle beside another."""
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if pooler or ".pooler." not in name)
