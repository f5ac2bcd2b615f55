"""A masked-language head on disk, and the head that a base has or is given.

A folder holds `head.safetensors`, `polyrank_head.json` (what it was made for, how, from which data)
and a README. In a zoo it stands as `<zoo>/<base>/head`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base, Fingerprint, only_cached, zoo_roots
from polyrank.base.quiet import quiet_transformers
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import Data, data_lines, sha256, slug
from polyrank.modules.folder import replaced
from polyrank.modules.record import read_record, write_record
from polyrank.training.head.output_head import HEAD_FILE, OutputHead, load_head, save_head

HEAD_CARD = "polyrank_head.json"
FORMAT_VERSION = 1

# Where checkpoints with a masked-language head keep its dense map and its LayerNorm.
_BERT = ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm")
_ROBERTA = ("lm_head.dense", "lm_head.layer_norm")
_PLACES = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "xmod": _ROBERTA,
}
_WITH_HEAD = (
    "ForMaskedLM",
    "ForPreTraining",
)  # ends of names of classes whose checkpoints have one


@dataclass(frozen=True)
class HeadCard:
    """What a masked-language head was made for, and how.

    Attributes:
        base, base_fingerprint: the frozen encoder beneath.
        recipe: command, hyper-parameters, steps, seed, machine, minutes.
        figures: held-out perplexity before and after.
        data: what it was trained on, with licences.
        sha256: of its weights; filled in when it is written.
        licence: SPDX id of the weights.
    """

    base: str
    base_fingerprint: Fingerprint
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Data, ...] = ()
    sha256: str = ""
    licence: str = "apache-2.0"
    format_version: int = FORMAT_VERSION


def head_place(base: str) -> str:
    """Of a base's head in a zoo."""
    return f"{slug(base)}/head"


def train_head_command(base: str) -> str:
    """The command that makes one, for messages."""
    return f"polyrank train head --base {base} --text text.txt --output ZOO/{head_place(base)}"


# ------------------------------------------------------------------------------- on disk


def save_head_folder(head: OutputHead, folder: str | Path, card: HeadCard) -> HeadCard:
    """Write head, card and README in one step.

    Args:
        head: stored in fp16.
        folder: where to; it must not hold anything else.
        card: without `sha256`.

    Returns:
        The card as written.

    Raises:
        ModuleError: a folder that holds something else.
    """
    with replaced(folder) as temporary:
        save_head(head, temporary)
        written = replace(card, sha256=sha256(temporary / HEAD_FILE))
        write_record(written, temporary / HEAD_CARD)
        (temporary / "README.md").write_text(head_readme(written), encoding="utf-8")
    return written


def read_head_card(folder: str | Path) -> HeadCard:
    """Read a head's card and check its weights against it.

    Raises:
        ModuleError: no head, a card that cannot be read, or weights that were altered.
    """
    path = Path(folder) / HEAD_CARD
    if not path.is_file():
        raise ModuleError(
            f"'{folder}' is not a masked-language head: it has no {HEAD_CARD}.\n"
            f"Train one with:  {train_head_command('BASE')}"
        )
    try:
        card = read_record(path, HeadCard, FORMAT_VERSION)
        found = sha256(path.parent / HEAD_FILE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModuleError(
            f"the masked-language head in '{folder}' cannot be read ({error!r}).\nTrain it again."
        ) from error
    if found != card.sha256:
        raise ModuleError(
            f"'{path.parent / HEAD_FILE}' was altered: its sha256 is {found[:12]}…, but its card "
            f"says {card.sha256[:12]}….\nTrain it again:  {train_head_command(card.base)}"
        )
    return card


def head_readme(card: HeadCard) -> str:
    """The README: Hugging Face metadata, then what the head is and how to use it."""
    lines = [
        "---",
        f"base_model: {json.dumps(card.base)}",
        f"license: {json.dumps(card.licence)}",
        "library_name: polyrank",
        'tags: ["polyrank", "fill-mask"]',
        "---",
        "",
        f"# {head_place(card.base)}",
        "",
        f"A masked-language head for the base `{card.base}` ({card.base_fingerprint}), which has "
        "none: BERT's, over the base's own word embeddings. Language modules are trained with it; "
        "ranking does not use it.",
        "",
        *("```bash", f"polyrank train language --base {card.base} --language LANGUAGE \\"),
        *("    --text text.txt --output DIR --head THIS_FOLDER", "```", ""),
        "It is found without `--head` where it stands as "
        f"`{head_place(card.base)}` in a folder of `$POLYRANK_ZOO`.",
        "",
    ]
    for title, values in (("Recipe", card.recipe), ("Figures", card.figures)):
        if values:
            lines += [f"## {title}", "", *(f"- {k}: `{v}`" for k, v in values.items()), ""]
    return "\n".join([*lines, *data_lines(card.data)])


# ------------------------------------------------------------------- of a base


@dataclass(frozen=True, eq=False)
class BaseHead:
    """The masked-language head of a base.

    Attributes:
        head: frozen, in fp32.
        words: output embeddings, (V, H); the base's word embeddings unless it has others.
        name: 'its own', or the sha256 of a trained one.
    """

    head: OutputHead
    words: Tensor
    name: str


def head_of(
    base: Base, folder: str | Path | None = None, zoo: str | Path | None = None
) -> BaseHead:
    """The head in a folder; else the checkpoint's own; else that of a zoo.

    Args:
        base: loaded.
        folder: of a head; None to look for one.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.

    Raises:
        ModuleError: a head that is broken or made for another base.
        UsageError: there is none; the message says how to train one.
    """
    if folder is not None:
        return _trained(base, Path(folder))
    if (own := _own(base)) is not None:
        return own
    for root in zoo_roots(zoo):
        if (root / head_place(base.name) / HEAD_CARD).is_file():
            return _trained(base, root / head_place(base.name))
    raise UsageError(
        f"the base '{base.name}' has no masked-language head, which a loss over hidden tokens "
        "needs.\nTrain one for it, which takes minutes, and set POLYRANK_ZOO=ZOO or give --head:  "
        f"{train_head_command(base.name)}\nOr align to sentence pairs alone: --loss align."
    )


def _trained(base: Base, folder: Path) -> BaseHead:
    card = read_head_card(folder)
    if card.base_fingerprint != base.fingerprint:
        raise ModuleError(
            f"the masked-language head in '{folder}' was made for base '{card.base}' "
            f"({card.base_fingerprint}), but this base is '{base.name}' ({base.fingerprint}).\n"
            f"Train one with:  {train_head_command(base.name)}"
        )
    head = load_head(folder, eps_of(base))
    assert head is not None  # its sha256 was checked
    words = base.model.get_input_embeddings().weight
    return BaseHead(head.requires_grad_(False).eval(), words, card.sha256)


def _own(base: Base) -> BaseHead | None:
    """The head in the base's checkpoint, if there is one that has BERT's form."""
    config = base.model.config
    places = _PLACES.get(config.model_type)
    classes = config.architectures or []
    if places is None or not any(name.endswith(_WITH_HEAD) for name in classes):
        return None
    if getattr(config, "hidden_act", "gelu") != "gelu" and places is _BERT:
        return None  # the head has the same activation
    from transformers import AutoModelForMaskedLM

    with quiet_transformers():
        model, report = AutoModelForMaskedLM.from_pretrained(
            base.folder,
            dtype=torch.float32,
            local_files_only=only_cached(base.folder),
            output_loading_info=True,
        )
    if any(key.startswith(("cls.", "lm_head.")) for key in report["missing_keys"]):
        return None
    output = model.get_output_embeddings()
    words = output.weight.detach()
    head = OutputHead(words.shape[1], len(words), eps_of(base))
    for own, place in zip((head.dense, head.norm), places, strict=True):
        own.load_state_dict(model.get_submodule(place).state_dict())
    with torch.no_grad():
        head.bias.copy_(output.bias)
    return BaseHead(head.requires_grad_(False).eval(), words, "its own")


def eps_of(base: Base) -> float:
    """Of the base's LayerNorms."""
    return float(getattr(base.model.config, "layer_norm_eps", 1e-12))
