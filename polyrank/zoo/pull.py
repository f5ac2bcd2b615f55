"""Pull a module from the Hub by name, for a base that is known or not."""

from __future__ import annotations

import warnings

from polyrank.zoo.download import pull as fetch
from polyrank.zoo.find import ZooEntry, info, list_modules
from polyrank.zoo.names import hub_name


def pull(name: str, base: str | None = None) -> ZooEntry:
    """Fetch a module of the Hub into the cache, where `find` and every verb find it.

    A revision that is there already is asked for again, since a branch moves; its unchanged files
    are not fetched twice. Without a connection the copy pulled before is used, with a warning.

    Args:
        name: `owner/repository[/path][@revision]`.
        base: refuse a module whose base has another fingerprint than this one; a base of the local
            zoos, such as `e5-small`, is checked anyway.

    Raises:
        HubError: no such repository, revision or module; no access; no connection and no copy.
        ModuleError: a module that is broken, altered, unsafe, or made for another base.
        UsageError: a name that is malformed.
    """
    expected = None
    if base is not None:
        from polyrank.base import load_base

        expected = load_base(base).fingerprint
    entry = info(str(fetch(hub_name(name), expected).folder))
    first = next((one for one in list_modules() if one.name == entry.name), entry)
    if first.card.files != entry.card.files:
        warnings.warn(_hidden(entry, first, name), stacklevel=2)
    return entry


def _hidden(entry: ZooEntry, first: ZooEntry, name: str) -> str:
    """That another module of the same full name is found before this one, and the way round it."""
    here = f"set POLYRANK_ZOO={entry.path.parents[3]}"
    way = f"say '{name}', or {here}" if entry.card.role == "ranking" else here
    return (
        f"another '{entry.name}' ({first.source}, '{first.path}') comes before this one; to use "
        f"this one {way}"
    )
