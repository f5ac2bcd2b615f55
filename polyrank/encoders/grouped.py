"""The language modules of a `RoutedEncoder` as one launch per sublayer, on a GPU.

The plain loop over modules in `polyrank.encoders.routed` is the meaning of this, and its path
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.kernels.routed_adapter import (
    Adapter,
    AdapterStack,
    Assignment,
    add_adapters,
    assign,
    stack_adapters,
)
from polyrank.modules.adapter.tensors import AdapterModule


class Stacks:
    """What the kernel reads: the adapters of all modules, by place and layer.

    A further "module" at the end stands for none: no adapters, and the coupling of the ranking
    module, which runs its own where no language module lies beneath it.
    """

    def __init__(
        self, languages: Sequence[AdapterModule | None], ranking: AdapterModule | None
    ) -> None:
        self.languages = list(languages)
        self._adapting = [*self.languages, None]
        self._coupling = [module or ranking for module in self._adapting]
        self._made: dict[tuple[str, int], AdapterStack | None] = {}

    @property
    def uniform(self) -> bool:
        """Whether one launch can serve: one activation, and one place of the LayerNorm."""
        coupling = [m for m in self._coupling if m and m.invertible]
        adapting = [m for m in self._adapting if m]
        return (
            bool(adapting)
            and len({m.activation for m in [*coupling, *adapting]}) == 1
            and len({m.original_ln_before for m in adapting}) == 1
            and not any(m.residual_after_ln for m in adapting)
        )

    @property
    def original_ln_before(self) -> bool:
        return next(m.original_ln_before for m in self._adapting if m)

    def get(self, place: str, number: int = 0) -> AdapterStack | None:
        """The adapters after `attention` or `output` of a layer, or the coupling's `F` or `G`."""
        key = (place, number)
        if key not in self._made:
            part = _coupling_part if place in ("F", "G") else _layer_part
            modules = self._coupling if place in ("F", "G") else self._adapting
            adapters = [part(module, place, number) if module else None for module in modules]
            activation = next(m.activation for m in self._adapting if m)
            self._made[key] = stack_adapters(adapters, activation)
        return self._made[key]


def _coupling_part(module: AdapterModule, place: str, number: int) -> Adapter | None:
    coupling = module.invertible
    return None if coupling is None else {"F": coupling.F, "G": coupling.G}[place]


def _layer_part(module: AdapterModule, place: str, number: int) -> Adapter | None:
    bottleneck = getattr(module, place).get(number)
    return bottleneck and (bottleneck.down, bottleneck.up)


@dataclass(frozen=True, eq=False)
class Grouped:
    """One batch, its tokens sorted by module."""

    stacks: Stacks
    assignment: Assignment

    @classmethod
    def of(cls, stacks: Stacks, index: Tensor) -> Grouped:
        """From each token's module, (N,), -1 for none."""
        none = len(stacks.languages)
        return cls(stacks, assign(torch.where(index < 0, none, index), none + 1))

    def couple(self, tokens: Tensor) -> Tensor:
        """The invertible layers: y1 = x1 + F(x2), y2 = x2 + G(y1); (N, H) → (N, H)."""
        f, g = self.stacks.get("F"), self.stacks.get("G")
        if f is None or g is None:
            return tokens
        result = tokens.clone()
        first, second = result.chunk(2, dim=1)
        add_adapters(second, first, f, self.assignment)
        add_adapters(first, second, g, self.assignment)
        return result

    def adapt(
        self, place: str, number: int, norm: Callable[[Tensor], Tensor], a: Tensor, r: Tensor
    ) -> Tensor:
        """a ← a + Up(act(Down(LN(a + r)))), each token by its module; `a` is overwritten."""
        stack = self.stacks.get(place, number)
        if stack is None:
            return a
        if not self.stacks.original_ln_before:
            return add_adapters(a.clone(), a, stack, self.assignment)
        return add_adapters(norm(a + r), a, stack, self.assignment)
