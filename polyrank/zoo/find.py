"""Find module folders: `<base>/<role>/<kind>/<name>/` under the zoo's folders. Needs no torch.

The folders are searched in this order: the one given, `$POLYRANK_ZOO`, what is bundled, what was
pulled. A name of the Hub is looked up among what was pulled, and else pulled, once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from polyrank.base import bundled_zoo, expanded, zoo_roots
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import (
    CARD_FILE,
    ROLES,
    ModuleCard,
    read_card,
    slug,
    train_command,
)
from polyrank.modules.kinds import KINDS
from polyrank.zoo.cache import (
    Cached,
    cache_folder,
    cached,
    cached_modules,
    cached_roots,
    origin_of,
)
from polyrank.zoo.names import hub_name, is_full, is_hub


@dataclass(frozen=True)
class ZooEntry:
    """A module that was found.

    Attributes:
        name: its full name.
        path: its folder.
        card: its card; its files are not yet verified.
        source: `bundled`, `cached` (pulled from the Hub) or `folder`.
        origin: for a cached one, its place on the Hub, commit and revisions.
    """

    name: str
    path: Path
    card: ModuleCard
    source: str = "folder"
    origin: str | None = None

    def __str__(self) -> str:
        return f"{self.name}  {self.card.language}  {self.path}"


def find(base: str, role: str, kind: str, name: str, zoo: str | Path | None = None) -> Path:
    """The folder of a module.

    Args:
        base: the base's name.
        role: `language` or `ranking`.
        kind: `adapter`, `mask` or `full`.
        name: a short name (`ky`), a full one (`e5-small/language/adapter/ky`), a module's folder,
            or `owner/repository[/path][@revision]` of the Hub, pulled unless it was before.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.

    Raises:
        ModuleError: when there is none; the message lists those there are, and how to train one.
            Also a module of the Hub that is broken, altered or unsafe.
        HubError: a module of the Hub that cannot be fetched.
        UsageError: a name of the Hub that is malformed.
    """
    folder = expanded(name)
    if "/" in name and (folder / CARD_FILE).is_file():
        return folder
    if is_hub(name):
        return _from_hub(name)
    full = name if is_full(name) else f"{slug(base)}/{role}/{kind}/{name}"
    for root in _roots(zoo):
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
    for folder in module_folders(base, role, kind, zoo):
        name = "/".join(folder.parts[-4:])
        if name not in found and (entry := _entry(name, folder)):
            found[name] = entry
    entries = [found[name] for name in sorted(found)]
    return [entry for entry in entries if language in (None, entry.card.language)]


def module_folders(
    base: str | None = None,
    role: str | None = None,
    kind: str | None = None,
    zoo: str | Path | None = None,
) -> Iterator[Path]:
    """Every module folder in the order of the search, also those behind another of their name."""
    for root in _roots(zoo):
        yield from folders_of(root, base and slug(base), role, kind)


def cached_entries() -> list[ZooEntry]:
    """Every pulled module, the newest first, also those behind another of their name."""
    found = [_entry("/".join(one.folder.parts[-4:]), one.folder) for one in cached_modules()]
    return [entry for entry in found if entry is not None]


def info(name: str, zoo: str | Path | None = None, verify: bool = True) -> ZooEntry:
    """One module by its full name, its folder or its name on the Hub, with its files verified.

    Args:
        name: a full name, a folder, or `owner/repository[/path][@revision]` that was pulled.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.
        verify: check every file's sha256.

    Raises:
        ModuleError: missing, broken, or not pulled yet.
        UsageError: a name that is none of these.
    """
    folder = expanded(name)
    if not (folder / CARD_FILE).is_file():
        folder = _named(name, zoo)
    card = read_card(folder, verify)
    return _described(card.full_name, folder, card)


def _named(name: str, zoo: str | Path | None) -> Path:
    """The folder of a full name, or of a name on the Hub that was pulled; no network."""
    if is_full(name):
        base, role, kind, _ = name.split("/")
        return find(base, role, kind, name, zoo)
    if not is_hub(name):
        raise UsageError(
            f"'{name}' is neither a module's folder nor a full name.\n"
            "Write it as base/role/kind/name, e.g. e5-small/language/adapter/ky, or of the Hub as "
            "owner/repository[/path][@revision]."
        )
    if (there := cached(hub_name(name))) is None:
        raise ModuleError(
            f"'{name}' is not a folder with a module in it, and was not pulled from the Hub.\n"
            f"Fetch it with:  polyrank zoo pull {name}"
        )
    return there.folder


def _from_hub(name: str) -> Path:
    from polyrank.zoo.download import pull

    wanted = hub_name(name)
    return (cached(wanted) or pull(wanted)).folder


def _roots(zoo: str | Path | None) -> list[Path]:
    return [*zoo_roots(zoo), *cached_roots()]


def folders_of(
    root: Path, base: str | None = None, role: str | None = None, kind: str | None = None
) -> Iterator[Path]:
    """The module folders of one zoo, by name."""
    pattern = f"{base or '*'}/{role or '*'}/{kind or '*'}/*/{CARD_FILE}"
    for card in sorted(root.glob(pattern)):
        _, middle, kind_name, name = card.parent.relative_to(root).parts
        if middle in ROLES and kind_name in KINDS and not name.startswith("."):
            yield card.parent


def _entry(name: str, folder: Path) -> ZooEntry | None:
    try:
        return _described(name, folder, read_card(folder, verify=False))
    except ModuleError as error:
        warnings.warn(f"skipped the module '{name}': {error}", stacklevel=2)
        return None


def _described(name: str, folder: Path, card: ModuleCard) -> ZooEntry:
    """The entry, with where the module comes from."""
    origin = _origin(folder)
    bundled = bundled_zoo()
    is_bundled = bundled is not None and folder.resolve().is_relative_to(bundled.resolve())
    source = "cached" if origin else "bundled" if is_bundled else "folder"
    return ZooEntry(name, folder, card, source, str(origin) if origin else None)


def _origin(folder: Path) -> Cached | None:
    try:
        within = folder.resolve().is_relative_to(cache_folder().resolve())
    except UsageError:  # no home directory, so nothing was pulled
        return None
    return origin_of(folder) if within else None
