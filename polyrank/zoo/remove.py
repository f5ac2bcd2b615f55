"""Take pulled modules out of the cache."""

from __future__ import annotations

from polyrank.base import expanded
from polyrank.errors import ModuleError, UsageError
from polyrank.zoo.cache import Cached, cached_modules, discard
from polyrank.zoo.find import info
from polyrank.zoo.names import hub_name, is_full, is_hub


def remove(name: str) -> list[tuple[Cached, int]]:
    """Remove a pulled module from the cache; bundled modules and folders are left alone.

    Args:
        name: its place on the Hub, `owner/repository[/path]`, for every revision that was pulled;
            with `@revision` for that one; or its full name, if one place alone has it.

    Returns:
        What was removed, with the bytes that it held.

    Raises:
        ModuleError: nothing of that name was pulled.
        UsageError: a name that several places have, or that is none.
    """
    found = _meant(name)
    return [(one, discard(one)) for one in found]


def _meant(name: str) -> list[Cached]:
    every = cached_modules()
    if is_full(name):
        found = [one for one in every if "/".join(one.folder.parts[-4:]) == name]
        places = sorted({one.name.place for one in found})
        if len(places) > 1:
            raise UsageError(
                f"'{name}' was pulled from {' and '.join(places)}.\nSay which:  "
                f"polyrank zoo remove {places[0]}"
            )
        if not found:
            entry = info(name)
            raise ModuleError(
                f"'{name}' was not pulled, but is {entry.source} in '{entry.path}', so it is left "
                "alone.\nOnly pulled modules are removed:  polyrank zoo list --source cached"
            )
        return found
    if not is_hub(name) or expanded(name).exists():
        raise UsageError(
            f"'{name}' is not a pulled module; nothing was removed.\nGive a full name, or "
            "owner/repository[/path][@revision]:  polyrank zoo list --source cached"
        )
    wanted = hub_name(name)
    of_place = [one for one in every if one.name.place == wanted.place]
    found = [one for one in of_place if one.fits(wanted)] if "@" in name else of_place
    if not found:
        there = ", ".join(str(one) for one in of_place or every) or "none"
        raise ModuleError(
            f"'{name}' was not pulled, so there is nothing to remove.\nPulled: {there}."
        )
    return found
