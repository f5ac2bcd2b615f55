"""Folders of the `adapters` library, as on AdapterHub (Pfeiffer et al. 2020, arXiv 2007.07779).

`adapter_config.json` with `pytorch_adapter.bin`, the library's default, or `adapter.safetensors`;
for a prediction head the same again. A module folder of the zoo is such a folder in safetensors, so
an import renames the adapter, drops what has no part in ranking, and adds a card.

Runs: bottleneck adapters with or without the invertible layer; the numerics that polyrank's engine
does not have (parallel, LoRA, prefix, PHM, gated, another place of the residual) are refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from polyrank.base import Base
from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_folder import load_adapter_module, read_adapter
from polyrank.modules.adapter.tensors import AdapterModule, Head
from polyrank.modules.card import ModuleCard, write_card
from polyrank.modules.folder import replaced
from polyrank.zoo.imports.pickles import write_pickle
from polyrank.zoo.imports.target import PREFIXES, Imported, Wanted

_PREFIXES = {**PREFIXES, "xmod": "roberta."}

CONFIG_FILE, HEAD_CONFIG_FILE = "adapter_config.json", "head_config.json"
FILES = (
    CONFIG_FILE,
    "adapter.safetensors",
    "pytorch_adapter.bin",
    HEAD_CONFIG_FILE,
    "model_head.safetensors",
    "pytorch_model_head.bin",
)


def bring(folder: Path, wanted: Wanted) -> Imported:
    """Bring a folder of the library into a zoo.

    Raises:
        ModuleError: an adapter that polyrank does not run, that is broken, or does not fit the
            base; a ranking adapter without a head of one label.
    """
    module, record = read_adapter(folder), _json(folder / CONFIG_FILE)
    model_type = str(record.get("model_type"))
    if model_type not in _PREFIXES:
        raise ModuleError(
            f"the adapter in '{folder}' is for a model of type '{model_type}'.\n"
            f"Give one for {', '.join(_PREFIXES)}."
        )
    recorded, notes = record.get("model_name"), []
    if wanted.base is not None:
        check_fits(module, wanted.base, (record.get("config") or {}).get("leave_out") or ())
        if recorded and recorded != wanted.base.name:
            notes.append(f"its own record names the base '{recorded}'")
    if wanted.role == "ranking":
        _check_head(module.head, folder)
        head_record = _json(folder / HEAD_CONFIG_FILE)
    else:
        head_record = None
        if (folder / HEAD_CONFIG_FILE).is_file():
            module = replace(module, head=None)
            notes.append("left out: its prediction head, which a language module does not need")
    card = wanted.card("adapter", wanted.base_name(recorded), "adapterhub", module.name)
    with wanted.place(card) as target:
        written = write(module, target, card, record, head_record)
    return Imported(written, target, tuple(notes))


def write(
    module: AdapterModule,
    folder: Path,
    card: ModuleCard,
    record: dict[str, Any],
    head_record: dict[str, Any] | None = None,
) -> ModuleCard:
    """Write a module folder, aside and then renamed; the adapter is called as the module.

    Args:
        module: the tensors.
        folder: where to.
        card: without `files`.
        record: what goes into `adapter_config.json`, but for the names.
        head_record: what goes into `head_config.json`, where there is a head.
    """
    from safetensors.torch import save_file

    names = {"name": card.name, "model_name": card.base}
    with replaced(folder) as temporary:
        _write_json(temporary / CONFIG_FILE, {**record, **names})
        tensors = tensors_of(module, card.name, _PREFIXES[record["model_type"]])
        save_file(tensors, temporary / "adapter.safetensors", {"format": "pt"})
        if module.head is not None and head_record is not None:
            _write_json(temporary / HEAD_CONFIG_FILE, {**head_record, **names})
            head = head_tensors(module.head, card.name)
            save_file(head, temporary / "model_head.safetensors", {"format": "pt"})
        written = write_card(temporary, card)
        load_adapter_module(temporary)  # refuse now what could not be run later
    return written


def take(folder: Path, output: Path) -> None:
    """Write an adapter module into a folder that the library reads by its defaults (`.bin`).

    Raises:
        ModuleError: a module that is broken.
    """
    module, record = load_adapter_module(folder), _json(folder / CONFIG_FILE)
    prefix = _PREFIXES[record["model_type"]]
    _write_json(output / CONFIG_FILE, record)
    write_pickle(tensors_of(module, module.name, prefix), output / "pytorch_adapter.bin")
    if module.head is not None:
        _write_json(output / HEAD_CONFIG_FILE, _json(folder / HEAD_CONFIG_FILE))
        write_pickle(head_tensors(module.head, module.name), output / "pytorch_model_head.bin")


def export(folder: Path, output: Path, base: str) -> None:
    """`take`; an adapter's names do not depend on its base."""
    take(folder, output)


def check_fits(module: AdapterModule, base: Base, left_out: Sequence[int] = ()) -> None:
    """Raise ModuleError unless the adapter has the base's width and its layers, but those that its
    configuration leaves out."""
    config = base.model.config
    highest = max([*module.output, *module.attention])
    if module.hidden_size != config.hidden_size or highest >= config.num_hidden_layers:
        raise ModuleError(
            f"the adapter is for a model of width {module.hidden_size} with at least "
            f"{highest + 1} layers, but the base '{base.name}' has width {config.hidden_size} and "
            f"{config.num_hidden_layers} layers.\nName the base that it was trained on."
        )
    if absent := set(range(config.num_hidden_layers)) - set(module.output) - set(left_out):
        raise ModuleError(
            f"the adapter is not whole: it lacks layer {', '.join(map(str, sorted(absent)))} of "
            f"the base '{base.name}'.\nFetch or train it again, or name the base that it was "
            "trained on."
        )


def tensors_of(module: AdapterModule, name: str, prefix: str) -> dict[str, Tensor]:
    """An adapter's tensors under the library's names.

    Args:
        module: the adapter.
        name: what it is to be called.
        prefix: of the encoder in a model with a head, e.g. `bert.`.
    """
    named = {}
    for place, layers in (("output", module.output), ("attention.output", module.attention)):
        for number, bottleneck in layers.items():
            start = f"{prefix}encoder.layer.{number}.{place}.adapters.{name}"
            named[f"{start}.adapter_down.0"] = bottleneck.down
            named[f"{start}.adapter_up"] = bottleneck.up
    if module.invertible is not None:
        for letter in "FG":
            first, second = getattr(module.invertible, letter)
            named[f"{prefix}invertible_adapters.{name}.{letter}.0"] = first
            named[f"{prefix}invertible_adapters.{name}.{letter}.2"] = second
    return _flat(named)


def head_tensors(head: Head, name: str) -> dict[str, Tensor]:
    """A head's tensors under the library's names: Dropout, Linear, activation, Dropout, Linear."""
    places = [1, 4 if head.activation else 3]
    pairs = zip(places, head.layers, strict=False)
    return _flat({f"heads.{name}.{place}": linear for place, linear in pairs})


def _flat(named: dict[str, tuple[Tensor, Tensor | None]]) -> dict[str, Tensor]:
    flat = {}
    for name, (weight, bias) in named.items():
        flat[f"{name}.weight"] = weight.contiguous()
        if bias is not None:
            flat[f"{name}.bias"] = bias.contiguous()
    return flat


def _check_head(head: Head | None, folder: Path) -> None:
    labels = None if head is None else head.layers[-1][0].shape[0]
    if labels != 1:
        found = "no head that scores" if labels is None else f"a head of {labels} labels"
        raise ModuleError(
            f"the adapter in '{folder}' has {found}, but a ranking module needs a classification "
            "head of one label.\nImport it as a language module, or give an adapter of a ranker."
        )


def _json(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
