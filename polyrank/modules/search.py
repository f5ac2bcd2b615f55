"""Find module folders: `<base>/<role>/<kind>/<name>/` under the zoo's folders. Needs no torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from polyrank.base import zoo_roots
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import (
    CARD_FILE,
    KINDS,
    ROLES,
    ModuleCard,
    read_card,
    slug,
    train_command,
)


@dataclass(frozen=True)
class ZooEntry:
    """A module that was found: its full name, its folder and its card (files not yet verified)."""

    name: str
    path: Path
    card: ModuleCard

    def __str__(self) -> str:
        return f"{self.name}  {self.card.language}  {self.path}"


def find(base: str, role: str, kind: str, name: str, zoo: str | Path | None = None) -> Path:
    """The folder of a module.

    Args:
        base: the base's name.
        role: `language` or `ranking`.
        kind: `adapter`, `mask` or `full`.
        name: a short name (`ky`), a full one (`mini/language/adapter/ky`), or a module's folder.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.

    Raises:
        ModuleError: when there is none; the message lists those there are, and how to train one.
    """
    folder = Path(name).expanduser()
    if "/" in name and (folder / CARD_FILE).is_file():
        return folder
    full = name if _is_full(name) else f"{slug(base)}/{role}/{kind}/{name}"
    for root in zoo_roots(zoo):
        if (root / full / CARD_FILE).is_file():
            return root / full
    if (folder / CARD_FILE).is_file():  # a plain word means the zoo first, then a folder here
        return folder
    short = full.rsplit("/", 1)[-1]
    known = [e.card.name for e in list_modules(base=base, role=role, kind=kind, zoo=zoo)]
    raise ModuleError(
        f"there is no {role} {kind} '{short}' for the base '{base}'. "
        f"Available: {', '.join(known) or 'none'}.\n"
        f"Train one with:  {train_command(base, role, kind, short)}"
    )


def list_modules(
    base: str | None = None,
    role: str | None = None,
    kind: str | None = None,
    language: str | None = None,
    zoo: str | Path | None = None,
) -> list[ZooEntry]:
    """Every module that fits, by name; of two of one name, the one found first counts.

    A folder whose card cannot be read is skipped with a warning, so that one broken module does not
    hide the others.

    Args:
        base, role, kind, language: keep only these; None keeps all.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.
    """
    found: dict[str, ZooEntry] = {}
    for root in zoo_roots(zoo):
        for folder in _folders(root, base and slug(base), role, kind):
            name = folder.relative_to(root).as_posix()
            if name not in found and (entry := _entry(name, folder)):
                found[name] = entry
    entries = [found[name] for name in sorted(found)]
    return [entry for entry in entries if language in (None, entry.card.language)]


def info(name: str, zoo: str | Path | None = None) -> ZooEntry:
    """One module by its full name or folder, with its files verified.

    Raises:
        ModuleError: missing, or broken.
        UsageError: a name that is neither.
    """
    if (Path(name).expanduser() / CARD_FILE).is_file():
        card = read_card(Path(name).expanduser())
        return ZooEntry(card.full_name, Path(name).expanduser(), card)
    if not _is_full(name):
        raise UsageError(
            f"'{name}' is neither a module's folder nor a full name.\n"
            "Write it as base/role/kind/name, e.g. mini/language/adapter/ky."
        )
    base, role, kind, _ = name.split("/")
    folder = find(base, role, kind, name, zoo)
    return ZooEntry(name, folder, read_card(folder))


def _is_full(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 4 and parts[1] in ROLES and parts[2] in KINDS


def _folders(root: Path, base: str | None, role: str | None, kind: str | None) -> Iterator[Path]:
    pattern = f"{base or '*'}/{role or '*'}/{kind or '*'}/*/{CARD_FILE}"
    for card in sorted(root.glob(pattern)):
        _, middle, kind_name, name = card.parent.relative_to(root).parts
        if middle in ROLES and kind_name in KINDS and not name.startswith("."):
            yield card.parent


def _entry(name: str, folder: Path) -> ZooEntry | None:
    try:
        return ZooEntry(name, folder, read_card(folder, verify=False))
    except ModuleError as error:
        warnings.warn(f"skipped the module '{name}': {error}", stacklevel=2)
        return None
