"""One vector a text and layer, of a base alone or under a language module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError
from polyrank.progress import bar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from polyrank.base import Base

BATCH = 32  # texts


def with_module(base: Base, language: str, kind: str, zoo: str | Path | None = None) -> bool:
    """Whether the base has a language module of this kind."""
    from polyrank.zoo.find import list_modules

    return bool(_named(list_modules(base.name, "language", kind, zoo=zoo), language))


def layer_vectors(
    base: Base,
    texts: Sequence[str],
    language: str | None,
    kind: str = "adapter",
    pooling: str = "mean",
    max_length: int = 128,
    zoo: str | Path | None = None,
    note: str | None = None,
) -> list[NDArray[np.float32]]:
    """Pooled hidden states, from the embeddings to the last layer, each (texts, hidden size).

    Texts are compared with their like, so every one gets the prefix of the base's queries, as E5
    prescribes (Wang et al. 2024, arXiv 2402.05672).

    Args:
        language: whose module to use; None, or a language without one, for the base alone.
        kind: 'adapter' or 'mask'.
        pooling: 'mean' over tokens, the 'first' token, or the 'last'.
        note: what to write before a bar; None for no bar.

    Raises:
        UsageError: for another pooling or kind.
        ModuleError: for a module that does not fit.
    """
    import numpy as np
    import torch

    from polyrank.base.pooling import POOLINGS, pooled
    from polyrank.encoders.routed import RoutedEncoder
    from polyrank.modules.adapter.adapter_folder import load_adapter_module
    from polyrank.modules.mask.mask_folder import load_mask_module
    from polyrank.modules.mask.sparse import applied
    from polyrank.zoo.find import find

    if pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}; choose {', '.join(POOLINGS)}")
    if kind not in ("adapter", "mask"):
        raise UsageError(f"language modules are of kind adapter or mask, not {kind!r}")
    there = language is not None and with_module(base, language, kind, zoo)
    folder = find(base.name, "language", kind, str(language), zoo) if there else None
    model = base.model
    masks = [load_mask_module(folder).differences] if folder and kind == "mask" else []
    routed = (
        RoutedEncoder(model, [load_adapter_module(folder)])
        if folder and kind == "adapter"
        else None
    )

    def states(inputs: Any) -> Iterable[Tensor]:
        if routed is not None:
            under = torch.zeros_like(inputs["input_ids"])  # every token under module 0
            yield from routed.states(
                inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids"), under
            )
        else:
            yield from model(**inputs, output_hidden_states=True).hidden_states

    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    layers: list[list[NDArray[np.float32]]] = []
    with (
        bar(note or "", len(texts), note is not None) as drawn,
        torch.inference_mode(),
        applied(model, *masks),
    ):
        for start in range(0, len(order), BATCH):
            rows = [base.card.query_prefix + texts[i] for i in order[start : start + BATCH]]
            inputs = base.tokenizer(
                rows, padding=True, truncation=True, max_length=max_length, return_tensors="pt"
            ).to(model.device)
            for number, hidden in enumerate(states(inputs)):
                if number == len(layers):
                    layers.append([])
                vectors = pooled(hidden.float(), inputs["attention_mask"], pooling)
                layers[number].append(vectors.cpu().numpy())
            drawn.advance(len(rows))
    back = np.argsort(order)
    return [np.concatenate(parts)[back] for parts in layers]


def _named(entries: Sequence[Any], language: str) -> list[Any]:
    """`find` goes by name; a module of the zoo is named after its language."""
    return [entry for entry in entries if entry.card.name == language]
