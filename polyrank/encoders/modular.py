"""Encode rows under compositions: adapters act token by token, masks on the weights of a batch.

Masks are on only inside `Engine.under`; see `polyrank.encoders.masked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition
from polyrank.encoders.masked import MaskedEncoder, Masks, WholeEncoder
from polyrank.encoders.routed import NO_MODULE, RoutedEncoder
from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.adapter.tensors import AdapterModule, Head, tensors_of
from polyrank.modules.full import load_full_module
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.projection import refuse_late_interaction
from polyrank.zoo.find import find


@dataclass(frozen=True)
class Active:
    """What acts on one row, as its engine counts it.

    Attributes:
        query, document: the adapter of each side's tokens, -1 for none.
        masks: folders of the masks on the weights; the rows of a batch have the same.
    """

    query: int = NO_MODULE
    document: int = NO_MODULE
    masks: Masks = ()


@dataclass(frozen=True)
class Row:
    """One encoded text or pair: token ids, token types, where its document side starts, modules."""

    ids: tuple[int, ...]
    types: tuple[int, ...]
    document_start: int
    active: Active


@dataclass(frozen=True, eq=False)
class Ranking:
    """A ranking module in parts: its head, and an encoder of its own, an adapter, or a mask."""

    head: Head | None
    encoder: Any = None
    adapter: AdapterModule | None = None
    mask: Path | None = None


def _adapter(folder: Path) -> Ranking:
    module = load_adapter_module(folder)
    return Ranking(module.head, adapter=module)


def _mask(folder: Path) -> Ranking:
    return Ranking(load_mask_module(folder).head, mask=folder)


def _full(folder: Path) -> Ranking:
    encoder, head = load_full_module(folder)
    return Ranking(head, encoder=encoder)


_RANKINGS: dict[str, Callable[[Path], Ranking]] = {
    "adapter": _adapter,
    "mask": _mask,
    "full": _full,
}


class Engine:
    """Runs batches of rows, each under the modules of its composition.

    Args:
        base: whose modules these are.
        plan: with the ranking module, checked by `compose`; its kinds are those of all rows.
        device, dtype: of the encoder; in another dtype than fp32 it is a copy of the base's.
        zoo: a folder to search first.

    Attributes:
        head: of the ranking module, in fp32.
        encoder: the Hugging Face encoder that runs.

    Raises:
        CompositionError: an encoder that these kinds cannot be used with.
        ModuleError: a ranking module that is broken, has no head, or does not fit the encoder.
    """

    def __init__(
        self,
        base: Base,
        plan: Composition,
        device: torch.device,
        dtype: torch.dtype,
        zoo: str | Path | None = None,
    ) -> None:
        self._base, self._device, self._zoo = base, device, zoo
        ranking = Ranking(None)
        if plan.ranking is not None:
            folder = find(base.name, "ranking", plan.ranking_kind, plan.ranking, zoo)
            refuse_late_interaction(folder)
            ranking = _RANKINGS[plan.ranking_kind](folder)
            if ranking.head is None:
                raise ModuleError(f"the ranking module in '{folder}' has no head.\nTrain it again.")
        self.head = ranking.head
        self._masked = MaskedEncoder(ranking.encoder or base.model, device, dtype)
        self.encoder = self._masked.encoder
        self._adapters: dict[Path, int] = {}  # folder of a language adapter → its number
        only_masks = plan.kind == plan.ranking_kind == "mask"
        self._run: Any = (
            WholeEncoder(self.encoder)
            if only_masks
            else RoutedEncoder(self.encoder, [], ranking.adapter)
        )
        self._ranking_masks = () if ranking.mask is None else (ranking.mask,)
        self._masked.check(self._ranking_masks)  # does not fit: now, and not with the first pair
        self._active: dict[Composition, Active] = {}

    # ------------------------------------------------------------------------------- modules

    def active(self, plan: Composition) -> Active:
        """What acts on rows of this composition; its modules are read when first needed."""
        if plan not in self._active:
            self._active[plan] = self._activate(plan)
        return self._active[plan]

    def _activate(self, plan: Composition) -> Active:
        sides = plan.active()
        if plan.kind == "mask":  # in one order, so that en–ky and ky–en are one composition
            names = sorted({*sides["query"], *sides["document"]})
            folders = [find(plan.base, "language", "mask", name, self._zoo) for name in names]
            return Active(masks=(*self._ranking_masks, *folders))
        query, document = (self._number(plan, *sides[side]) for side in ("query", "document"))
        return Active(query, document, self._ranking_masks)

    def _number(self, plan: Composition, name: str | None = None) -> int:
        """By which the routed encoder knows a language adapter; -1 for none."""
        if name is None:
            return NO_MODULE
        folder = find(plan.base, "language", "adapter", name, self._zoo)
        if folder not in self._adapters:
            weight = self.encoder.embeddings.word_embeddings.weight
            module = load_adapter_module(folder).to(weight.device, weight.dtype)
            self._adapters[folder] = len(self._run.languages)
            self._run.languages.append(module)
        return self._adapters[folder]

    def size(self) -> tuple[int, int]:
        """Parameters and bytes: of the encoder, the head, and the adapters read so far."""
        modules = [getattr(self._run, "ranking", None), *getattr(self._run, "languages", ())]
        held = [*self.encoder.parameters(), *tensors_of(self.head)]
        for module in modules:  # a ranking adapter brings the head that is counted already
            held += tensors_of(module and replace(module, head=None, card=None))
        return sum(t.numel() for t in held), sum(t.numel() * t.element_size() for t in held)

    # ------------------------------------------------------------------------------- encoding

    def under(self, masks: Masks) -> AbstractContextManager[Any]:
        """Masks on the weights inside, off again after; other engines of the encoder wait.

        Args:
            masks: of the rows that are encoded inside.
        """
        return self._masked.under(masks)

    @torch.inference_mode()
    def encode(self, rows: Sequence[Row]) -> Tensor:
        """The last hidden state (B, L, H) of one padded batch, inside `under` the rows' masks."""
        length = max(len(row.ids) for row in rows)
        pad = self._base.tokenizer.pad_token_id or 0

        def padded(values: Iterator[tuple[int, ...]], filler: int) -> Tensor:
            full = [v + (filler,) * (length - len(v)) for v in values]
            return torch.tensor(full, device=self._device)

        ids = padded((row.ids for row in rows), pad)  # (B, L), as the two below
        mask = padded(((1,) * len(row.ids) for row in rows), 0)
        types = padded((row.types for row in rows), 0)
        has_types = getattr(self.encoder.config, "type_vocab_size", 0) > 1
        index = torch.tensor(
            [
                [row.active.query] * row.document_start
                + [row.active.document] * (length - row.document_start)
                for row in rows
            ],
            device=self._device,
        )
        hidden: Tensor = self._run(ids, mask, types if has_types else None, index)
        return hidden
