"""Adapters on disk: a safetensors folder of the `adapters` library + `polyrank.json`, README."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_layout import (
    check_whole,
    config_of,
    is_of_xmod,
    layers_of,
)
from polyrank.modules.adapter.tensors import AdapterModule, Head
from polyrank.modules.card import ModuleCard, read_card, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.kind import Loaded
from polyrank.modules.tensor_files import read_json, read_tensors


def load_adapter_module(folder: str | Path) -> AdapterModule:
    """Read and verify an adapter module.

    Raises:
        ModuleError: a folder without card, an unknown format version, a missing or altered file, a
            mask, or an adapter configuration that polyrank's engine does not run.
    """
    card = read_card(folder)
    if card.kind != "adapter":
        raise ModuleError(
            f"'{card.full_name}' is a {card.kind}, not an adapter.\nUse it with kind='{card.kind}'."
        )
    return replace(read_adapter(folder), card=card)


def loaded(folder: str | Path) -> Loaded:
    """An adapter module as an encoder takes it; see `load_adapter_module`."""
    module = load_adapter_module(folder)
    return Loaded(module.head, adapter=module)


def read_adapter(folder: str | Path) -> AdapterModule:
    """Read a plain folder of the `adapters` library, as from AdapterHub; nothing is verified.

    Raises:
        ModuleError: a missing or unreadable file, or a configuration that is not `seq_bn`,
            `seq_bn_inv`, `double_seq_bn` or `double_seq_bn_inv` in its numerics.
    """
    folder = Path(folder)
    record = read_json(folder / "adapter_config.json")
    config, name = config_of(record, folder), str(record["name"])
    tensors = read_tensors(folder, "adapter.safetensors", "pytorch_adapter.bin")
    layers = layers_of(tensors, name, folder)
    check_whole(layers, config, folder)
    return AdapterModule(
        name=name,
        activation=str(config["non_linearity"]).lower(),
        original_ln_before=bool(config["original_ln_before"]),
        output=layers.output,
        attention=layers.attention,
        invertible=layers.invertible,
        head=_read_head(folder, name),
        residual_after_ln=is_of_xmod(record),
    )


def check_trainable_over(folder: str | Path) -> None:
    """Raise ModuleError for a language adapter over which the library would train another stack
    than polyrank runs: one of XMOD."""
    if read_adapter(folder).residual_after_ln:
        raise ModuleError(
            f"the language adapter in '{folder}' is one of XMOD, over which nothing can be trained "
            "here: the adapters library computes another stack of it than polyrank runs.\n"
            "Train over none, or over a language adapter that polyrank trained for this base."
        )


_HEADS = ("classification", "multilabel_classification")


def _read_head(folder: Path, name: str) -> Head | None:
    if not (folder / "head_config.json").is_file():
        return None
    record = read_json(folder / "head_config.json")
    config = record.get("config")
    if not isinstance(config, dict) or config.get("head_type") not in _HEADS:
        return None  # e.g. an MLM head kept with a language module: no use in ranking
    if config.get("use_pooler") or config.get("layers") not in (1, 2):
        raise ModuleError(
            f"the head in '{folder}' uses the pooler or has other than 1 or 2 layers, which "
            "polyrank does not run.\nUse add_classification_head(layers=1 or 2, use_pooler=False)."
        )
    tensors = read_tensors(folder, "model_head.safetensors", "pytorch_model_head.bin")
    prefix = f"heads.{record.get('name', name)}."
    # The head is a Sequential of Dropout, Linear, activation, Dropout, Linear: linears at 1 and 4.
    # Without an activation the second one moves up to 3.
    second = 4 if config.get("activation_function") else 3
    places = [1, second][: config["layers"]]
    layers = []
    for place in places:
        weight = tensors.get(f"{prefix}{place}.weight")
        if weight is None:
            raise ModuleError(
                f"the head in '{folder}' lacks the tensor '{prefix}{place}.weight'.\n"
                "Fetch or train it again."
            )
        layers.append((weight, tensors.get(f"{prefix}{place}.bias")))
    return Head(tuple(layers), config.get("activation_function"))


def save_adapter_module(
    model: Any,
    adapter_name: str,
    folder: str | Path,
    card: ModuleCard,
    head: bool = False,
    dtype: torch.dtype | None = None,
) -> ModuleCard:
    """Write an adapter as a module folder, which `model.load_adapter(folder, use_safetensors=True)`
    of the library reads too.

    The folder is written aside and then renamed, so a crash leaves the old module or the new one.

    Args:
        model: a model of the `adapters` library that has the adapter.
        adapter_name: the adapter's name in that model; the folder's adapter is called `card.name`
            on loading only when the two agree.
        folder: where to; an existing module there is replaced, anything else is left alone.
        card: without `files`, which are filled in.
        head: write the prediction head of the same name too (a ranking module needs it).
        dtype: of the stored tensors, e.g. torch.float16 to halve the size; as they are by default.

    Returns:
        The card as written.

    Raises:
        ModuleError: no such adapter or head, or a folder that holds something else.
    """
    if adapter_name not in model.adapters_config.adapters:
        raise ModuleError(
            f"the model has no adapter '{adapter_name}', only "
            f"{', '.join(model.adapters_config.adapters) or 'none'}.\nAdd it with add_adapter."
        )
    if head and adapter_name not in getattr(model, "heads", {}):
        raise ModuleError(
            f"the model has no head '{adapter_name}'.\nAdd it with add_classification_head."
        )
    with_head = {"with_head": head} if hasattr(model, "heads") else {}
    with replaced(folder) as temporary:
        model.save_adapter(str(temporary), adapter_name, use_safetensors=True, **with_head)
        _convert(temporary, adapter_name, dtype)
        for path in temporary.glob("*_config.json"):  # the library writes the base's path there
            record = read_json(path)
            path.write_text(
                json.dumps({**record, "model_name": card.base}, indent=2, sort_keys=True) + "\n"
            )
        written = write_card(temporary, card)
        read_adapter(temporary)  # refuse now what could not be run later
    return written


def _convert(folder: Path, name: str, dtype: torch.dtype | None) -> None:
    """Cast, and drop other heads whose name starts with ours, which the library writes too."""
    from safetensors.torch import load_file, save_file

    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        if path.name == "model_head.safetensors":
            tensors = {k: v for k, v in tensors.items() if k.startswith(f"heads.{name}.")}
        cast = {k: v.to(dtype or v.dtype).contiguous() for k, v in tensors.items()}
        save_file(cast, path, metadata={"format": "pt"})
