"""Check modules that are at hand: their cards, their files, their place, and their base."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from polyrank.base import expanded, zoo_roots
from polyrank.errors import ModuleError
from polyrank.modules.card import ModuleCard, slug, train_command_of
from polyrank.modules.kinds import KINDS
from polyrank.modules.load import load_module
from polyrank.modules.soundness import check_folder
from polyrank.zoo.download import known_fingerprint
from polyrank.zoo.find import info, module_folders


@dataclass(frozen=True)
class Verdict:
    """What the check of one module gave; `problem` is None when all is well."""

    name: str
    path: Path
    problem: str | None = None


def verify(name: str | None = None, zoo: str | Path | None = None) -> list[Verdict]:
    """Check one module, or all that are bundled, cached, or in `$POLYRANK_ZOO`.

    Of each: the card can be read, every file has its sha256, all are plain files, each
    `.safetensors` is whole, the folder is where its name says, and its base is the one here, where
    that is known.

    Args:
        name: a full name, a folder, or a pulled module's name on the Hub; None for all.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.

    Raises:
        ModuleError: `name` is nowhere.
        UsageError: `name` is malformed.
    """
    if name is None:
        return [_verdict(folder, placed=True) for folder in module_folders(zoo=zoo)]
    if expanded(name).is_dir():
        return [_verdict(expanded(name), placed=False)]
    return [_verdict(info(name, zoo, verify=False).path, placed=True)]


def _verdict(folder: Path, placed: bool) -> Verdict:
    name = "/".join(folder.parts[-4:]) if placed else str(folder)
    try:
        card = check_folder(folder)
        if placed and card.full_name != name:
            raise ModuleError(
                f"its card calls it '{card.full_name}', but it lies in '{folder}'.\nMove it there."
            )
        _check_whole(folder, card)
        here = known_fingerprint(card.base)
        if here is not None and card.verified and card.base_fingerprint != here:
            raise ModuleError(
                f"it was made for base '{card.base}' ({card.base_fingerprint}), but the base here "
                f"is another ({here}).\nTrain it again:  {train_command_of(card)}"
            )
    except ModuleError as error:
        return Verdict(name, folder, str(error))
    return Verdict(name, folder)


def _check_whole(folder: Path, card: ModuleCard) -> None:
    """Read an adapter as a reranker would, and compare its shape with its base's, if that is here.

    Raises:
        ModuleError: a part that is missing, or another width.
    """
    if KINDS[card.kind].acts != "tokens":
        return
    adapter = load_module(folder).adapter
    record = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    left_out = (record.get("config") or {}).get("leave_out") or ()
    for root in zoo_roots():
        path = root / slug(card.base) / "base" / "config.json"
        if adapter is None or not path.is_file():
            continue
        config = json.loads(path.read_text(encoding="utf-8"))
        width, layers = config.get("hidden_size"), config.get("num_hidden_layers")
        if width is None or layers is None:
            continue  # not what an encoder's config says
        there = {*adapter.output, *left_out}
        if adapter.hidden_size != width or there != set(range(layers)):
            raise ModuleError(
                f"it has width {adapter.hidden_size} and layers {sorted(adapter.output)}, but its "
                f"base has width {width} and layers 0 to {layers - 1}.\n"
                f"Fetch it again, or train it:  {train_command_of(card)}"
            )
        return
