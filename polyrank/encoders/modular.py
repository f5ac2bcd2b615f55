"""Run an encoder with modules, for cross-encoders and late interaction alike.

What acts on tokens (adapters) is chosen token by token, what acts on weights (masks) lies on those
of a whole batch, and a whole model runs in the base's place. What a kind does says its row in
`polyrank.modules.kinds`. Masks are on only inside `ModularEncoder.under`; see
`polyrank.encoders.masked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition
from polyrank.encoders.masked import MaskedEncoder, Masks, WholeEncoder
from polyrank.encoders.packed import spans_of
from polyrank.encoders.precision import FP32, Precision
from polyrank.encoders.ranking_module import RankingModule, ranking_module
from polyrank.encoders.routed import RoutedEncoder, packing
from polyrank.encoders.segments import NO_MODULE
from polyrank.encoders.tokens import padded
from polyrank.errors import ModuleError
from polyrank.modules.adapter.tensors import AdapterModule, tensors_of
from polyrank.modules.interaction import refuse_interaction
from polyrank.modules.kind import Loaded
from polyrank.modules.kinds import KINDS
from polyrank.modules.multi_view import refuse_multi_view
from polyrank.modules.projection import refuse_late_interaction
from polyrank.zoo.find import find


@dataclass(frozen=True)
class Active:
    """What acts on one row, as its encoder counts it.

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


class ModularEncoder:
    """Runs batches of rows, each under its language modules and all under the ranking module.

    Args:
        base: whose modules these are.
        masked: the base's encoder, or the ranking module's, on its device, in its precision.
        ranking: the ranking module.
        kind: of the language modules.
        zoo: a folder to search first.

    Attributes:
        encoder: the Hugging Face encoder that runs.
        head: of the ranking module, in fp32.

    Raises:
        CompositionError: an encoder that these kinds cannot be used with.
        ModuleError: a ranking module that does not fit the encoder.
    """

    def __init__(
        self,
        base: Base,
        masked: MaskedEncoder,
        ranking: RankingModule,
        kind: str,
        zoo: str | Path | None = None,
    ) -> None:
        self.base, self.ranking, self.head = base, ranking, ranking.head
        self.encoder, self._masked = masked.encoder, masked
        self._kind, self._zoo = KINDS[kind], zoo
        self._numbers: dict[str, int] = {}  # name of a language module → its number
        self._folders: list[Path] = []  # by number, of those on the weights
        self._active: dict[Composition, Active] = {}
        self._types = getattr(self.encoder.config, "type_vocab_size", 0) > 1
        alike = self._kind.acts == "weights" and ranking.adapter is None  # for all tokens
        self._run: Any  # what runs padded rows
        self._packing: Any  # what runs rows without padding; None where nothing can
        if alike:
            self._run, self._packing = WholeEncoder(self.encoder), packing(self.encoder)
        else:
            self._run = routed = RoutedEncoder(self.encoder, [], ranking.adapter)
            self._packing = routed if routed.packs else None
        masked.check(ranking.masks)  # does not fit: now, and not with the first row

    @classmethod
    def for_pairs(
        cls,
        base: Base,
        plan: Composition,
        device: torch.device,
        precision: Precision = FP32,
        zoo: str | Path | None = None,
        headed: bool = True,
    ) -> ModularEncoder:
        """The encoder of pairs.

        Args:
            plan: with the ranking module, checked by `compose`; its kinds are those of all rows.
            device, precision: of the encoder; in another than fp32 it is a copy of the base's.
            headed: whether the ranking module scores pairs by a head, as a cross-encoder's does.

        Raises:
            CompositionError, ModuleError: as the class, or a module without a head.
        """
        ranking = RankingModule(plan.ranking_kind)
        if plan.ranking is not None:
            folder = find(base.name, "ranking", plan.ranking_kind, plan.ranking, zoo)
            refuse_late_interaction(folder)
            refuse_interaction(folder)
            if headed:
                refuse_multi_view(folder)
            ranking = ranking_module(plan.ranking_kind, folder, plan.ranking)
            if headed and ranking.head is None:
                raise ModuleError(f"the ranking module in '{folder}' has no head.\nTrain it again.")
        masked = MaskedEncoder(ranking.encoder or base.model, device, precision, base.tokenizer)
        return cls(base, masked, ranking, plan.kind, zoo)

    # ------------------------------------------------------------------------------- modules

    def active(self, plan: Composition) -> Active:
        """What acts on rows of this composition; its modules are read when first needed."""
        if plan not in self._active:
            sides = plan.active()
            if self._kind.acts == "weights":  # in one order: en–ky and ky–en are one composition
                names = sorted({*sides["query"], *sides["document"]})
                found = Active(masks=self._under(*names))
            else:
                query, document = (self.module(*sides[side]) for side in ("query", "document"))
                found = Active(query, document, self.ranking.masks)
            self._active[plan] = found
        return self._active[plan]

    def module(self, name: str | None = None) -> int:
        """The number by which `masks` and a call know a language module; None is none."""
        if name is None:
            return NO_MODULE
        if name not in self._numbers:
            folder = find(self.base.name, "language", self._kind.name, name, self._zoo)
            self._numbers[name] = self._add(folder)
        return self._numbers[name]

    def _add(self, folder: Path) -> int:
        if self._kind.acts == "weights":
            self._folders.append(folder)
            return len(self._folders) - 1
        weight = self.encoder.embeddings.word_embeddings.weight
        self._run.languages.append(_adapter(self._kind.load(folder), weight))
        return len(self._run.languages) - 1

    def masks(self, module: int) -> Masks:
        """What must lie on the weights while rows of this module are run."""
        if self._kind.acts != "weights" or module == NO_MODULE:
            return self.ranking.masks
        return (*self.ranking.masks, self._folders[module])

    def _under(self, *names: str) -> Masks:
        folders = (self._folders[self.module(name)] for name in names)
        return (*self.ranking.masks, *folders)

    def size(self) -> tuple[int, int]:
        """Parameters and bytes: of the encoder, the head, and the adapters read so far."""
        modules = [getattr(self._run, "ranking", None), *getattr(self._run, "languages", ())]
        held = [*self.encoder.parameters(), *tensors_of(self.head)]
        for module in modules:  # a ranking adapter brings the head that is counted already
            held += tensors_of(module and replace(module, head=None, card=None))
        return sum(t.numel() for t in held), sum(t.numel() * t.element_size() for t in held)

    # ------------------------------------------------------------------------------- encoding

    def under(self, masks: Masks) -> AbstractContextManager[Any]:
        """Masks on the weights inside, off again after; other users of the encoder wait.

        Args:
            masks: of the rows that are encoded inside.
        """
        return self._masked.under(masks)

    @torch.inference_mode()
    def encode(
        self, rows: Sequence[Row], embed: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """The last hidden state (B, L, H) of pairs as one batch, inside `under` their masks.

        Args:
            embed: token ids (B, L) → word embeddings (B, L, H), where some ids are not in the
                base's vocabulary.
        """
        device = self.encoder.device
        length = max(len(row.ids) for row in rows)
        pad = self.base.tokenizer.pad_token_id or 0
        ids = padded((row.ids for row in rows), pad, device)  # (B, L), as the three below
        attended = padded(((1,) * len(row.ids) for row in rows), 0, device)
        types = padded((row.types for row in rows), 0, device)
        index = torch.tensor(
            [
                [row.active.query] * row.document_start
                + [row.active.document] * (length - row.document_start)
                for row in rows
            ],
            device=device,
        )
        words = embed and embed(ids)
        hidden: Tensor = self._run(ids, attended, types if self._types else None, index, words)
        return hidden

    @torch.inference_mode()
    def firsts(self, rows: Sequence[Row]) -> Tensor:
        """The first token's last state (B, H) of pairs as one batch, inside `under` their masks."""
        if not self._packing:
            return self.encode(rows)[:, 0]
        ids = torch.tensor([token for row in rows for token in row.ids])  # (T,), as the two below
        types = torch.tensor([kind for row in rows for kind in row.types])
        index = torch.tensor(
            [
                row.active.query if place < row.document_start else row.active.document
                for row in rows
                for place in range(len(row.ids))
            ]
        )
        spans = spans_of([len(row.ids) for row in rows])
        return self._packing.firsts(ids, spans, types if self._types else None, index)

    def __call__(
        self,
        ids: Tensor,
        attended: Tensor,
        modules: Tensor,
        words: Tensor,
        lengths: Sequence[int] | None = None,
    ) -> Tensor:
        """Hidden states of texts, each under one module, inside `under` their masks.

        Args:
            ids, attended: (B, L). modules: (B,), by `module`. words: (B, L, H), of the tokens.
            lengths: tokens of each text, attended or not; then padding may be left out.

        Returns:
            (B, L, H).
        """
        types = torch.zeros_like(ids) if self._types else None
        if self._kind.acts == "weights":  # there they lie already
            modules = torch.full_like(modules, NO_MODULE)
        index = modules[:, None].expand_as(ids)  # (B, L)
        if not self._packing or lengths is None:
            hidden: Tensor = self._run(ids, attended, types, index, words)
            return hidden
        spans = spans_of(lengths, attended.sum(dim=1).tolist())
        real = torch.arange(ids.shape[1])[None, :] < torch.tensor(lengths)[:, None]  # (B, L)
        padded = words.new_zeros(words.shape)
        padded[real] = self._packing.packed(ids[real], spans, None, index[real], words[real])
        return padded


def _adapter(module: Loaded, weight: Tensor) -> AdapterModule:
    """The layers of a module that acts on tokens, where the encoder is."""
    assert module.adapter is not None, "a kind that acts on tokens loads an adapter"
    return module.adapter.to(weight.device, weight.dtype)
