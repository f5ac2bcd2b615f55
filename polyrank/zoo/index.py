"""The index of a zoo's folder, and the README of each module, generated from the cards.

`index.json` says what a zoo holds without opening every folder, and which base it is for.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyrank.base import e5_small, load_base
from polyrank.errors import UsageError
from polyrank.modules.card import CARD_FILE, ModuleCard, readme
from polyrank.modules.soundness import check_folder
from polyrank.zoo.download import INDEX_FILE
from polyrank.zoo.find import folders_of

INDEX_VERSION = 1
_KEPT = ("role", "kind", "language", "base", "licence")


def write_index(root: str | Path) -> list[Path]:
    """Write `index.json` and the READMEs of a zoo anew; returns the files that changed.

    Args:
        root: the folder that holds `<base>/<role>/<kind>/<name>/`.

    Raises:
        ModuleError: a module that is broken.
        UsageError: a folder without modules.
    """
    changed = []
    for path, text in _generated(Path(root)).items():
        if _text(path) != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def stale(root: str | Path) -> list[Path]:
    """The files of a zoo that `write_index` would change; writes nothing. Raises as it does."""
    return [path for path, text in _generated(Path(root)).items() if _text(path) != text]


def _generated(root: Path) -> dict[Path, str]:
    """Every generated file and what it should hold."""
    cards = {folder: check_folder(folder) for folder in folders_of(root)}
    if not cards:
        raise UsageError(
            f"'{root}' holds no modules (<base>/<role>/<kind>/<name>/{CARD_FILE}).\n"
            "Give the folder of a zoo, or none for the bundled one."
        )
    texts = {folder / "README.md": readme(card) for folder, card in cards.items()}
    record = {
        "version": INDEX_VERSION,
        "bases": _bases(root, {card.base for card in cards.values()}),
        "modules": [_row(root, folder, card) for folder, card in cards.items()],
    }
    texts[root / INDEX_FILE] = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    return texts


def _bases(root: Path, named: set[str]) -> dict[str, dict[str, str]]:
    """Of each base in this zoo, the fingerprint: taken from its weights, not from any card.

    Args:
        named: bases of the modules, of which one that is converted from a package has a known one.
    """
    found = {e5_small.NAME: asdict(e5_small.FINGERPRINT)} if e5_small.NAME in named else {}
    for config in sorted(root.glob("*/base/config.json")):
        fingerprint = load_base(str(config.parent)).fingerprint
        found[config.parent.parent.name] = {
            "weights": fingerprint.weights,
            "vocabulary": fingerprint.vocabulary,
        }
    return found


def _row(root: Path, folder: Path, card: ModuleCard) -> dict[str, Any]:
    bytes_ = sum((folder / name).stat().st_size for name in card.files)
    return {
        "name": folder.relative_to(root).as_posix(),
        **{key: getattr(card, key) for key in _KEPT},
        "parent": card.parent.name if card.parent else None,
        "data": [source.name for source in card.data],
        "figures": dict(card.figures),
        "bytes": bytes_,
        "files": dict(sorted(card.files.items())),
    }


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
