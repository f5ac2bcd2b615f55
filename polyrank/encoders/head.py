"""From encoded pairs to scores: the ranking module's head over the first token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.errors import ModuleError
from polyrank.kernels.activations import activate
from polyrank.modules.adapter.tensors import Head


@torch.inference_mode()
def score(hidden: Tensor, head: Head | None) -> Tensor:
    """Score pairs from their encodings.

    Args:
        hidden: the last hidden state, (B, L, H); only its first token is read.
        head: the ranking module's head, of one label.

    Returns:
        Raw logits, (B,), fp32 whatever the encoder's dtype; higher is better.

    Raises:
        ModuleError: no head, or one with more than one label.
    """
    if head is None:
        raise ModuleError(
            "this ranking module has no head, so it cannot score.\nSave it with head=True."
        )
    *inner, (weight, bias) = head.layers
    if weight.shape[0] != 1:
        raise ModuleError(
            f"the head has {weight.shape[0]} labels, but a score needs exactly one.\n"
            "Train the ranking module with a head of num_labels=1."
        )
    x = hidden[:, 0].float()  # (B, H)
    for inner_weight, inner_bias in inner:
        x = activate(head.activation, _linear32(x, inner_weight, inner_bias))
    return _linear32(x, weight, bias).squeeze(-1)


def _linear32(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.to(x.device, torch.float32)
    return F.linear(x, weight.to(x.device, torch.float32), bias)
