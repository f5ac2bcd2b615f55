"""Between a mask of composable-sft, named after a whole model, and one of the zoo.

A mask of the zoo changes the plain encoder, under the encoder's own names, and carries a ranking
head apart. `composable_sft` is the file; here is what its names mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from polyrank.base import Base, base_name, resolve_base
from polyrank.errors import ModuleError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.mask.mask_folder import load_mask_module, save_mask_module
from polyrank.modules.mask.sparse import Differences, SparseDifference, applied, count
from polyrank.zoo.imports.composable_sft import SFT_FILE, SparseFineTuning, read_sft, write_sft
from polyrank.zoo.imports.target import PREFIXES, Imported, Wanted

# A ranking head: its inner and its outer linear map. BERT's inner one is the pooler.
_BERT_HEAD = ("bert.pooler.dense", "classifier")
_ROBERTA_HEAD = ("classifier.dense", "classifier.out_proj")
_HEADS = {"bert.": _BERT_HEAD, "roberta.": _ROBERTA_HEAD}
_POOLER = "pooler."


def bring(folder: Path, wanted: Wanted) -> Imported:
    """Bring a folder with a `pytorch_diff.bin` into a zoo as a mask.

    A language module keeps the differences within the encoder; what is outside (pooler, MLM head)
    has no part in ranking and is left out and counted. A ranking module needs its head.

    Raises:
        ModuleError: a file that is broken, or does not fit the base.
        UsageError: no base named: the file says none.
    """
    sft = read_sft(folder / SFT_FILE)
    differences, outside, prefix = split_names(sft)
    if wanted.base is not None:
        with applied(wanted.base.model, differences):  # refuses what does not fit, then undoes it
            pass
    head, notes = None, []
    if wanted.role == "ranking":
        head = head_of(sft, prefix, _pooler(wanted.base) if wanted.base else None)
        used = {f"{place}.{part}" for place in _HEADS[prefix] for part in ("weight", "bias")}
        outside = {name: size for name, size in outside.items() if name not in used}
    if outside:
        notes.append(
            f"left out, as no part of the encoder: {sum(outside.values())} coordinates of "
            f"{', '.join(sorted(outside))}"
        )
    whole = [name for name in sft.absolute if head is None or not name.startswith(_HEADS[prefix])]
    if whole:
        notes.append(f"left out, as no part of the encoder: {', '.join(sorted(whole))}")
    card = wanted.card("mask", wanted.base_name(None), "composable-sft")
    kinds = {difference.values.dtype for difference in differences.values()}
    if head is not None:
        kinds.add(torch.float32)  # a head is kept in fp32
    dtype = kinds.pop() if len(kinds) == 1 else torch.float32
    with wanted.place(card) as target:
        card = save_mask_module(differences, target, card, head, dtype)
    notes.append(f"{count(differences)} coordinates in {len(differences)} tensors")
    return Imported(card, target, tuple(notes))


def take(folder: Path, output: Path, model_type: str) -> None:
    """Write a mask module as a `pytorch_diff.bin` into a folder; values keep their dtype.

    Args:
        folder: of the module.
        output: an existing folder.
        model_type: of its base, e.g. `bert`.

    Raises:
        ModuleError: a base whose names composable-sft would not find, or another form of head.
    """
    module = load_mask_module(folder)
    if model_type not in PREFIXES:
        raise ModuleError(
            f"a mask for a base of type '{model_type}' cannot be exported.\n"
            f"Only those for {', '.join(PREFIXES)} can."
        )
    write_sft(output / SFT_FILE, with_prefix(module.differences, module.head, PREFIXES[model_type]))


def export(folder: Path, output: Path, base: str) -> None:
    """`take`, for a base by its name, of which only the type is read.

    Raises:
        ModuleError: as `take`, or a base that is not found.
    """
    take(folder, output, _model_type(base))


def _model_type(base: str) -> str:
    """The type of a base, from its configuration alone."""
    path = Path(resolve_base(base)) / "config.json"
    if path.is_file():
        return str(json.loads(path.read_text(encoding="utf-8")).get("model_type"))
    from transformers import AutoConfig

    from polyrank.base.trusted import refuse_code_of

    try:
        refuse_code_of(base)
        return str(AutoConfig.from_pretrained(base).model_type)
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"the base '{base_name(base)}' of the mask is not found, so its tensors' names in a "
            "whole model are not known.\nName its folder with --base."
        ) from error


def _pooler(base: Base) -> dict[str, Tensor] | None:
    """The pooler in the base's checkpoint, which `load_base` leaves out; None where it has none."""
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        base.folder, dtype=torch.float32, output_loading_info=True
    )
    dense = getattr(getattr(model, "pooler", None), "dense", None)
    if dense is None or any(name.startswith(_POOLER) for name in report["missing_keys"]):
        return None
    return {"weight": dense.weight.detach(), "bias": dense.bias.detach()}


def split_names(sft: SparseFineTuning) -> tuple[dict[str, SparseDifference], dict[str, int], str]:
    """The encoder's differences by their names in the plain encoder, and what is left over.

    Returns:
        Differences; name → number of coordinates that lie outside the encoder (pooler, head); the
        prefix that the encoder's names had.

    Raises:
        ModuleError: no encoder of BERT or XLM-R.
    """
    inside: dict[str, SparseDifference] = {}
    outside: dict[str, int] = {}
    prefixes = {p for p in _HEADS if any(name.startswith(p) for name in sft.differences)}
    if len(prefixes) != 1:
        found = ", ".join(sorted({name.split(".")[0] for name in sft.differences})) or "nothing"
        raise ModuleError(
            f"the mask changes {found}, which is not an encoder that polyrank knows.\n"
            "Give a mask for a BERT or XLM-R model."
        )
    (prefix,) = prefixes
    for name, difference in sft.differences.items():
        short = name.removeprefix(prefix)
        if name.startswith(prefix) and not short.startswith(_POOLER):
            inside[short] = difference
        elif len(difference.indices):
            outside[name] = len(difference.indices)
    return inside, outside, prefix


def head_of(sft: SparseFineTuning, prefix: str, pooler: Mapping[str, Tensor] | None) -> Head:
    """The ranking head in fp32.

    Args:
        sft: with the head's tensors in `absolute`; BERT's pooler may be a difference instead.
        prefix: from `split_names`.
        pooler: the base's own pooler, `{"weight": …, "bias": …}`, where it has one.

    Raises:
        ModuleError: a head that is not there, or that is not BERT's or XLM-R's with one label.
    """
    inner, outer = _HEADS[prefix]
    layers = []
    for place in (inner, outer):
        weight, bias = (_whole(sft, place, part, pooler) for part in ("weight", "bias"))
        layers.append((weight, bias))
    if layers[1][0].shape[0] != 1:
        raise ModuleError(
            f"the mask's head has {layers[1][0].shape[0]} labels, but a score needs exactly one.\n"
            "Give a mask that was trained with num_labels=1, or role 'language'."
        )
    return Head(tuple(layers), "tanh")


def _whole(
    sft: SparseFineTuning, place: str, part: str, pooler: Mapping[str, Tensor] | None
) -> Tensor:
    name = f"{place}.{part}"
    if name in sft.absolute:
        return sft.absolute[name].float()
    if place == _BERT_HEAD[0] and pooler is not None:
        start = pooler[part].float()
        return start + sft.differences[name].dense() if name in sft.differences else start
    raise ModuleError(
        f"the mask has no '{name}', so it cannot rank.\nImport it with role 'language'"
        + (", or name a base whose checkpoint has the pooler." if "pooler" in place else ".")
    )


def with_prefix(differences: Differences, head: Head | None, prefix: str) -> SparseFineTuning:
    """A mask under the names of a Hugging Face model with head; a head goes into `absolute`.

    Raises:
        ModuleError: a head of another form than two linear maps with tanh between.
    """
    absolute: dict[str, Tensor] = {}
    if head is not None:
        if len(head.layers) != 2 or head.activation != "tanh":
            raise ModuleError(
                "the mask's head is not two linear maps with tanh between, as those of Hugging "
                "Face models are.\nIt cannot be exported to composable-sft."
            )
        for place, (weight, bias) in zip(_HEADS[prefix], head.layers, strict=True):
            absolute[f"{place}.weight"] = weight
            absolute[f"{place}.bias"] = torch.zeros(len(weight)) if bias is None else bias
    renamed = {f"{prefix}{name}": difference for name, difference in differences.items()}
    return SparseFineTuning(renamed, absolute)
