"""An encoder whose weights masks change for a while, and nobody else meanwhile.

An encoder may be shared: the base of one reranker is the base of another. Masks change its weights,
so they are on only inside `MaskedEncoder.under`, which takes them off again, to the bit, whatever
happens inside. All who run the same encoder through this class exclude each other by a lock, so
threads may score with rerankers of one base; whoever else runs that encoder in another thread
meanwhile sees the changed weights.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from polyrank.encoders.int8 import layers_of, quantised
from polyrank.encoders.precision import FP32, Precision
from polyrank.errors import CompositionError
from polyrank.modules.load import load_module
from polyrank.modules.mask.sparse import Differences, applied, check_fits
from polyrank.modules.mask.sums import MaskSums

Masks = tuple[Path, ...]  # folders of the masks on the weights


class MaskedEncoder:
    """A Hugging Face encoder, to be run inside `under`.

    Args:
        encoder: in fp32; in another dtype a copy of it runs.
        device, precision: where and in what it runs.
        tokenizer: of the encoder, for int8.

    Attributes:
        encoder: what runs.

    Raises:
        UsageError: int8 on a GPU or over another architecture.
    """

    def __init__(
        self,
        encoder: Any,
        device: torch.device,
        precision: Precision = FP32,
        tokenizer: Any = None,
    ) -> None:
        if precision.dtype != torch.float32:  # it may be shared: cast a copy, of bare weights
            with _lock_of(encoder):
                encoder = copy.deepcopy(encoder)
        self._weights = encoder.to(device, precision.dtype)  # what masks are put on
        self.encoder, self._packs = self._weights, None
        self._lock = _lock_of(self._weights)
        if precision.quantised:
            with self._lock:
                self.encoder = quantised(self._weights, tokenizer)
            self._packs = Packs(self.encoder)
        self._sums = MaskSums(self._load, device)

    def _load(self, folder: Path) -> Differences:
        differences = load_module(folder).differences
        assert differences is not None, "a kind that acts on weights loads differences"
        check_fits(self._weights, differences)
        return differences

    def check(self, masks: Masks) -> None:
        """Read masks now, rather than with the first text.

        Raises:
            ModuleError: one that is missing, broken, or does not fit the encoder.
        """
        self._sums(masks)

    @contextmanager
    def under(self, masks: Masks) -> Iterator[Any]:
        """The encoder with masks on its weights, off again after; its other users wait."""
        with self._lock, applied(self._weights, self._sums(masks)):
            if self._packs is not None:
                self._packs.put(masks)
            yield self.encoder

    def copy(self, masks: Masks) -> Any:
        """An encoder of its own with masks merged into its weights."""
        with self.under(masks):
            return copy.deepcopy(self._weights)


class Packs:
    """The 8-bit weights under masks, those of the latest few kept.

    Args:
        encoder: of `quantised`, with no mask on its weights.
    """

    KEPT = 8

    def __init__(self, encoder: Any) -> None:
        self._layers = layers_of(encoder)
        self._kept: dict[Masks, list[Any]] = {(): [layer.packed for layer in self._layers]}

    def put(self, masks: Masks) -> None:
        """Into all layers, while the masks are on the weights."""
        packs = self._kept.pop(masks, None) or [layer.pack() for layer in self._layers]
        self._kept[masks] = packs  # the latest stands last
        for layer, pack in zip(self._layers, packs, strict=True):
            layer.packed = pack
        if len(self._kept) > self.KEPT:
            del self._kept[next(iter(self._kept))]


class WholeEncoder:
    """An encoder's own forward: without adapters there is nothing to route, whatever its layout.

    Raises:
        CompositionError: an XMOD, whose layers want a language of their own, or a decoder, whose
            first token sees no other.
    """

    def __init__(self, encoder: Any) -> None:
        if encoder.config.model_type == "xmod":
            raise CompositionError(
                "an XMOD routes by its own language modules, so masks cannot be used with it.\n"
                "Use polyrank.LateInteraction with kind='full', or a base of type bert or "
                "xlm-roberta."
            )
        causal = any(getattr(part, "is_causal", False) for part in encoder.modules())
        if causal or getattr(encoder.config, "is_encoder_decoder", False):
            raise CompositionError(
                f"modules cannot be run over a base of type '{encoder.config.model_type}': they "
                "need an encoder, in which every token sees all others.\n"
                "Use a base of type bert or xlm-roberta."
            )
        self._encoder = encoder

    def __call__(
        self,
        ids: Tensor,
        attended: Tensor,
        types: Tensor | None,
        index: Tensor,
        words: Tensor | None = None,
    ) -> Tensor:
        """As `RoutedEncoder`; `index` is without use."""
        extra = {} if types is None else {"token_type_ids": types}
        texts = {"input_ids": ids} if words is None else {"inputs_embeds": words}
        hidden: Tensor = self._encoder(**texts, attention_mask=attended, **extra).last_hidden_state
        return hidden


_LOCKS: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()
_GUARD = threading.Lock()


def _lock_of(encoder: Any) -> threading.Lock:
    """The one lock of all users of an encoder."""
    with _GUARD:
        return _LOCKS.setdefault(encoder, threading.Lock())
