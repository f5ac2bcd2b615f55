"""Adapters in memory: plain tensors that polyrank's own engine runs (`polyrank.encoders.routed`).

On disk they are folders of the `adapters` library, see `adapter_folder`; neither reading them nor
inference needs the library.

Bottleneck adapters: Pfeiffer et al. 2020, MAD-X, arXiv 2005.00052. Invertible adapters: the same,
by the NICE coupling of Dinh et al. 2014, arXiv 1410.8516.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from polyrank.modules.card import ModuleCard

T = TypeVar("T")
Linear = tuple[Tensor, Tensor | None]  # weight (out, in), bias (out,)


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """One layer's adapter: Down (D, H) and its bias (D,), Up (H, D) and its bias (H,)."""

    down: Linear
    up: Linear


@dataclass(frozen=True, eq=False)
class Invertible:
    """A NICE coupling over the embeddings: y1 = x1 + F(x2), y2 = x2 + G(y1).

    Each of F and G is two linear maps with the adapter's activation between them.
    """

    F: tuple[Linear, Linear]
    G: tuple[Linear, Linear]


@dataclass(frozen=True, eq=False)
class Head:
    """A classification head over the first token: linear maps with an activation between them."""

    layers: tuple[Linear, ...]
    activation: str | None = "tanh"


@dataclass(frozen=True, eq=False)
class AdapterModule:
    """An adapter as plain tensors.

    Attributes:
        name: of the adapter in its folder.
        activation: between Down and Up, and inside the invertible layer.
        original_ln_before: whether the layer's own LayerNorm (with residual) comes before Down,
            as in `seq_bn`; `double_seq_bn` goes without.
        output: layer number → the bottleneck after the feed-forward; layers left out are absent.
        attention: layer number → the bottleneck after self-attention (`double_seq_bn` only).
        invertible: the coupling after the embeddings, if any.
        head: the ranking head, if any.
        card: None when read from a plain folder of the library.
        residual_after_ln: whether Up(…) is added to the LayerNorm's output rather than to its
            input, as in XMOD (Pfeiffer et al. 2022, arXiv 2205.06266).
    """

    name: str
    activation: str
    original_ln_before: bool
    output: Mapping[int, Bottleneck]
    attention: Mapping[int, Bottleneck]
    invertible: Invertible | None = None
    head: Head | None = None
    card: ModuleCard | None = None
    residual_after_ln: bool = False

    @property
    def hidden_size(self) -> int:
        return next(iter(self.output.values())).down[0].shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> AdapterModule:
        """A copy on a device and in a dtype; the head stays in fp32, as scores are."""
        return replace(
            self,
            output=moved(self.output, device, dtype),
            attention=moved(self.attention, device, dtype),
            invertible=moved(self.invertible, device, dtype),
            head=moved(self.head, device, torch.float32),
        )


def moved(value: T, device: torch.device | str, dtype: torch.dtype) -> T:
    """A copy of nested dataclasses, mappings and tuples, with all its tensors on a device."""

    def copied(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part.to(device, dtype)
        if is_dataclass(part) and not isinstance(part, type):
            return replace(part, **{f.name: copied(getattr(part, f.name)) for f in fields(part)})
        if isinstance(part, Mapping):
            return {key: copied(one) for key, one in part.items()}
        return tuple(map(copied, part)) if isinstance(part, tuple) else part

    result: T = copied(value)
    return result


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors of nested dataclasses, mappings and sequences."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        parts: Any = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = value.values()
    else:
        parts = value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]
