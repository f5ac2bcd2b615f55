"""Fetch a module from the Hub: only the files its card names, checked before anyone can find it.

The download goes through `huggingface_hub`: its cache, resuming, tokens and offline mode. What was
fetched is checked against `polyrank.json` and copied into polyrank's own cache (`modules.cache`).
"""

from __future__ import annotations

import json
import time
import warnings
from contextlib import suppress
from pathlib import Path

from polyrank.base import Fingerprint, zoo_roots
from polyrank.errors import HubError, ModuleError, UsageError
from polyrank.modules.card import CARD_FILE, ModuleCard, from_json, sha256, slug, train_command_of
from polyrank.modules.soundness import check_names
from polyrank.zoo import hub
from polyrank.zoo.cache import Cached, cached, install, renew
from polyrank.zoo.names import HubName, hub_name

INDEX_FILE = "index.json"
_ATTEMPTS = 5  # of one file, each going on where the one before broke off
_SHOWN = 8  # modules of a repository that a message names


def pull(name: HubName, expected: Fingerprint | None = None) -> Cached:
    """Fetch a module, check it, and put it into the cache.

    Without a connection the copy pulled before is used, with a warning that says so.

    Args:
        name: its place and revision.
        expected: refuse a module that was made for another base than this.

    Raises:
        HubError: no such repository, revision or module; no access; no connection and no copy.
        ModuleError: a module that is broken, altered, unsafe, or made for another base. Nothing of
            it is left in the cache.
    """
    with hub.said_plainly(name, "pull"):
        try:
            listing = _listing(name)
        except Exception as error:
            if not hub.unreachable(error):
                raise
            return _without_network(name, expected, error)
        if name.file(CARD_FILE) not in listing:
            raise HubError(_no_module(name, listing))
        return _bring_in(name, name.revision, expected)


def module_places(name: HubName, listing: list[str]) -> tuple[list[HubName], list[str]]:
    """The modules of a repository by its list of paths, and the paths that lead out of it."""
    places, refused = [], []
    for file in sorted(listing):
        if file == CARD_FILE or file.endswith(f"/{CARD_FILE}"):
            folder = file.removesuffix(CARD_FILE).rstrip("/")
            place = HubName(name.repository, folder, name.revision)
            try:
                places.append(hub_name(str(place)))
            except UsageError:
                refused.append(file)
    return places, refused


def known_fingerprint(base: str) -> Fingerprint | None:
    """The fingerprint of a base of the local zoos, from their index; None where none knows it."""
    for root in zoo_roots():
        if (root / slug(base) / "base" / "config.json").is_file():
            with suppress(OSError, ValueError, KeyError, TypeError):
                return Fingerprint(**json.loads((root / INDEX_FILE).read_text())["bases"][base])
            return None
    return None


def _listing(name: HubName) -> list[str]:
    """The paths in the repository at this revision."""
    from huggingface_hub import constants

    info = hub.client().model_info(
        name.repository, revision=name.revision, timeout=constants.HF_HUB_ETAG_TIMEOUT
    )
    return [file.rfilename for file in info.siblings or ()]


def _without_network(name: HubName, expected: Fingerprint | None, error: Exception) -> Cached:
    """The copy that was pulled before, or one made from what the Hub's own cache has."""
    from huggingface_hub import try_to_load_from_cache

    if (there := cached(name)) is not None:
        warnings.warn(
            f"the Hub was not reached: '{name}' is the copy pulled at {there.pulled[:16]} UTC "
            f"(commit {there.name.revision[:8]})",
            stacklevel=3,
        )
        return there
    card = try_to_load_from_cache(name.repository, name.file(CARD_FILE), revision=name.revision)
    if not isinstance(card, str):
        raise error
    return _bring_in(name, _commit_of(name, Path(card)), expected)


def _bring_in(name: HubName, revision: str, expected: Fingerprint | None) -> Cached:
    """Fetch the card, then of its commit the files it lists, each checked; put them in place."""
    card_path = _fetch(name, CARD_FILE, revision)
    commit = _commit_of(name, card_path)
    card = _read(name, card_path, expected)
    if (there := renew(name, commit, card)) is not None:
        return there
    files = {CARD_FILE: card_path}
    for file, digest in card.files.items():
        files[file] = _fetch_as_listed(name, file, commit, digest)
    if "README.md" not in files:
        with suppress(_entry_not_found()):  # nice to have: nothing is read from it
            files["README.md"] = _fetch(name, "README.md", commit)
    return install(name, commit, card, files)


def _commit_of(name: HubName, card: Path) -> str:
    """The commit of a card in the Hub's cache: `…/snapshots/<commit>/[path/]polyrank.json`."""
    return card.parents[name.file(CARD_FILE).count("/")].name


def _fetch(name: HubName, file: str, revision: str, force: bool = False) -> Path:
    """A file in the Hub's own cache; a download that breaks off goes on where it was."""
    from huggingface_hub import hf_hub_download

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            path = hf_hub_download(
                name.repository,
                name.file(file),
                revision=revision,
                library_name="polyrank",
                force_download=force and attempt == 1,
            )
            return Path(path)
        except Exception as error:
            if attempt == _ATTEMPTS or not hub.broken_off(error):
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


def _fetch_as_listed(name: HubName, file: str, commit: str, digest: str) -> Path:
    """A file with the sha256 that the card gives; one that differs is fetched once more, since the
    local copy may have rotted, and then refused and taken out of the Hub's cache."""
    from huggingface_hub import constants

    path = _fetch(name, file, commit)
    if sha256(path) != digest and not constants.HF_HUB_OFFLINE:
        path = _fetch(name, file, commit, force=True)
    if (found := sha256(path)) != digest:
        _drop(path)
        raise ModuleError(
            f"'{name}' is not what its card says: {file} has the sha256 {found[:12]}…, but "
            f"{CARD_FILE} gives {digest[:12]}….\nIt was truncated or altered, and nothing of it "
            "was kept. Pull another revision (NAME@REVISION), or tell whoever made it."
        )
    return path


def _read(name: HubName, path: Path, expected: Fingerprint | None) -> ModuleCard:
    """The card, if it can be trusted and its base fits; else it leaves the Hub's cache as well."""
    try:
        source = f"{CARD_FILE} of '{name}'"
        card = check_names(from_json(path.read_text(encoding="utf-8"), source), source)
        wanted = expected or known_fingerprint(card.base)
        if wanted is not None and card.verified and card.base_fingerprint != wanted:
            raise ModuleError(
                f"'{name}' was made for base '{card.base}' ({card.base_fingerprint}), but the base "
                f"here is another ({wanted}).\nPull the revision made for this one, or train one "
                f"with:  {train_command_of(card)}"
            )
        return card
    except UnicodeDecodeError as error:
        _drop(path)
        raise ModuleError(
            f"{CARD_FILE} of '{name}' is not text ({error}).\nTell whoever made the module."
        ) from error
    except ModuleError:
        _drop(path)
        raise


def _drop(path: Path) -> None:
    """Take a file out of the Hub's cache, so that nobody meets it there."""
    blob = path.resolve()
    for one in (path, blob):
        one.unlink(missing_ok=True)


def _entry_not_found() -> type[Exception]:
    from huggingface_hub.errors import EntryNotFoundError

    return EntryNotFoundError


def _no_module(name: HubName, listing: list[str]) -> str:
    """That a repository has no module at a path, and where it has some."""
    places, _ = module_places(name, listing)
    shown = [f"  polyrank zoo pull {place}" for place in places[:_SHOWN]]
    if places:
        more = f"\nand {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        return f"'{name}' is not a module; the repository holds others:\n" + "\n".join(shown) + more
    return (
        f"'{name}' is not a module of polyrank: it has no {CARD_FILE}.\nBring an adapter of "
        f"AdapterHub or a composable-sft mask in with:  polyrank zoo import {name.repository}"
    )
