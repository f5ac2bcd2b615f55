"""Modules that were pulled, in `<cache>/zoo/<place>/<commit>/<base>/<role>/<kind>/<name>/`.

Each `<place>/<commit>` is laid out as a zoo of its own. A module comes in by one rename, under a
lock, so that several processes may pull it at once and a crash leaves nothing partial. Beside its
files lies `.origin.json`: which revisions were asked for, and when. Needs no network and no torch.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from polyrank.base.roots import cache_root
from polyrank.errors import ModuleError, UsageError
from polyrank.locks import locked
from polyrank.modules.card import CARD_FILE, ModuleCard
from polyrank.modules.folder import replaced
from polyrank.modules.soundness import check_folder
from polyrank.zoo.names import HubName

ORIGIN_FILE = ".origin.json"
_SHORT = 8  # digits of a commit that are shown, and at least as many of it name it


@dataclass(frozen=True)
class Cached:
    """A pulled module.

    Attributes:
        name: its place on the Hub, with the commit as the revision.
        folder: where it lies.
        revisions: the names under which it was asked for, such as `main`.
        pulled: when, in UTC; the newest pull of two comes first.
    """

    name: HubName
    folder: Path
    revisions: tuple[str, ...]
    pulled: str

    @property
    def root(self) -> Path:
        """The folder that holds `<base>/…`."""
        return self.folder.parents[3]

    def __str__(self) -> str:
        asked = f" ({', '.join(self.revisions)})" if self.revisions else ""
        return f"{self.name.place}@{self.name.revision[:_SHORT]}{asked}"

    def fits(self, name: HubName) -> bool:
        """Whether this is what the name means, by a revision asked for before or by the commit."""
        if self.name.place != name.place:
            return False
        short = len(name.revision) >= _SHORT and self.name.revision.startswith(name.revision)
        return short or name.revision in self.revisions


def cache_folder() -> Path:
    """Where pulled modules are kept: `$POLYRANK_CACHE/zoo`, by default `~/.cache/polyrank/zoo`.

    Raises:
        UsageError: neither a variable nor a home directory says where.
    """
    return cache_root() / "zoo"


def cached_modules() -> list[Cached]:
    """All pulled modules, the newest pull first; none where there is no place to keep them."""
    try:
        origins = cache_folder().glob(f"*/*/*/*/*/*/{ORIGIN_FILE}")
    except UsageError:
        return []
    found = [origin_of(path.parent) for path in origins if not path.parent.name.startswith(".")]
    return sorted(filter(None, found), key=lambda one: (one.pulled, str(one.name)), reverse=True)


def cached(name: HubName) -> Cached | None:
    """The pulled module of this name, or None."""
    return next((one for one in cached_modules() if one.fits(name)), None)


def cached_roots() -> list[Path]:
    """The zoos that pulled modules form, the newest pull first."""
    return list(dict.fromkeys(one.root for one in cached_modules()))


def install(name: HubName, commit: str, card: ModuleCard, files: Mapping[str, Path]) -> Cached:
    """Copy a module's files into the cache, check the copies, and put them in place at once.

    Args:
        name: as it was asked for.
        commit: what its revision is today.
        card: of the module.
        files: name in the module → the file that was fetched; the card is among them.

    Raises:
        ModuleError: a file that is not what the card says; then nothing is left behind.
    """
    folder = _place(name, commit, card)
    with _locked(folder):
        if (there := _renewed(folder, name)) is not None:  # another process was faster
            return there
        module = Cached(name.at(commit), folder, (name.revision,), _now())
        with replaced(folder) as temporary:
            for file, source in files.items():
                shutil.copyfile(source, temporary / file)
            check_folder(temporary)
            _sign(temporary, module)
    _moved(name, commit)
    return module


def renew(name: HubName, commit: str, card: ModuleCard) -> Cached | None:
    """The module if it is in the cache and sound, as the newest pull and under this revision."""
    folder = _place(name, commit, card)
    if not folder.is_dir():
        return None
    with _locked(folder):
        there = _renewed(folder, name)
    _moved(name, commit)
    return there


def discard(module: Cached) -> int:
    """Take a module out of the cache; returns the bytes that it held."""
    with _locked(module.folder):
        files = [path for path in module.folder.iterdir() if path.is_file()]
        held = sum(path.stat().st_size for path in files)
        aside = module.folder.with_name(f".{module.folder.name}-removed")
        module.folder.rename(aside)  # at once: nobody finds half a module
        shutil.rmtree(aside)
        with suppress(OSError):  # the first that holds something else ends it
            for parent in list(module.folder.parents)[:5]:  # up to and with <place>
                parent.rmdir()
    return held


def _place(name: HubName, commit: str, card: ModuleCard) -> Path:
    return cache_folder() / quote(name.place, safe="") / commit / card.full_name


def _renewed(folder: Path, name: HubName) -> Cached | None:
    there = origin_of(folder)
    if there is None:
        return None
    try:
        check_folder(folder)
    except ModuleError:
        return None  # it rotted: it is pulled anew
    revisions = tuple(sorted({name.revision, *there.revisions}))
    there = replace(there, revisions=revisions, pulled=_now())
    _sign(folder, there)
    return there


def _moved(name: HubName, commit: str) -> None:
    """A branch is now at this commit: take its name from the commits where it was."""
    for one in cached_modules():
        if one.name.place != name.place or one.name.revision == commit:
            continue
        with _locked(one.folder):  # another process may sign it, or take it away
            there = origin_of(one.folder)
            if there is not None and name.revision in there.revisions:
                kept = tuple(revision for revision in there.revisions if revision != name.revision)
                _sign(one.folder, replace(there, revisions=kept))


def _sign(folder: Path, module: Cached) -> None:
    """Write where a module comes from into the folder where it is, or is being made."""
    origin = {
        "repository": module.name.repository,
        "path": module.name.path,
        "commit": module.name.revision,
        "revisions": list(module.revisions),
        "pulled": module.pulled,
    }
    aside = folder / f"{ORIGIN_FILE}.new"
    aside.write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
    aside.replace(folder / ORIGIN_FILE)


def origin_of(folder: Path) -> Cached | None:
    """Where a module was pulled from; None where nothing says so, or what does is broken."""
    path = folder / ORIGIN_FILE
    if not (folder / CARD_FILE).is_file():
        return None
    try:
        origin = json.loads(path.read_text(encoding="utf-8"))
        name = HubName(origin["repository"], origin["path"], origin["commit"])
        return Cached(name, folder, tuple(origin["revisions"]), origin["pulled"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"skipped the pulled module in '{folder}': its {ORIGIN_FILE} cannot be read "
            f"({error!r}); remove that folder and pull the module again",
            stacklevel=2,
        )
        return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; also takes away what a killed one left half written."""
    key = folder.relative_to(cache_folder()).as_posix()
    with locked(cache_folder() / ".locks" / quote(key, safe="")[-200:], wait=True):
        for leftover in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
