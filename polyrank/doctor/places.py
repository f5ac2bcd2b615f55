"""Caches, the default base, and the folders of modules."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from polyrank.base import DEFAULT_BASE, bundled_zoo, e5_small, zoo_roots
from polyrank.base.roots import absent_zoos, cache_root
from polyrank.doctor.finding import Finding
from polyrank.errors import PolyrankError, first_line

DEFAULT = "verbs without --base"
ELSEWHERE = "set POLYRANK_CACHE to a folder of yours"
SPACE = 600 << 20  # bytes that the conversion of the base needs


def places() -> Iterator[Finding]:
    """The cache, the default base in it, and the zoo."""
    yield _cache()
    yield _base()
    yield from _zoo()


def _cache() -> Finding:
    try:
        folder = cache_root()
    except PolyrankError as error:
        first, *rest = str(error).split("\n")
        return Finding("base", "cache", first, False, use=DEFAULT, mend=" ".join(rest))
    existing = _existing(folder)
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        found = f"{folder} cannot be written"
        return Finding("base", "cache", found, False, use=DEFAULT, mend=ELSEWHERE)
    free = shutil.disk_usage(existing).free
    vectors = sum(one.stat().st_size for one in (folder / "vectors").rglob("*") if one.is_file())
    kept = f", {vectors / 1e6:,.0f} MB of document vectors" if vectors else ""
    return Finding("base", "cache", f"{folder}, {free / 1e9:.1f} GB free{kept}")


def _base() -> Finding:
    """The default base: in a zoo's folder, converted, or ready to be."""
    for root in [] if absent_zoos() else zoo_roots():
        if (root / DEFAULT_BASE / "base" / "config.json").is_file():
            return _ready(f"in {root / DEFAULT_BASE / 'base'}")
    try:
        folder = e5_small.folder_of_converted()
        if (folder / "config.json").is_file():
            return _ready(f"converted, in {folder}")
        e5_small.packed_file()
    except PolyrankError as error:
        return _missing(first_line(error), f"{e5_small.INSTALL}, or name a base by --base")
    existing = _existing(folder)
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        return _missing(f"cannot be converted: {existing} cannot be written", ELSEWHERE)
    if shutil.disk_usage(existing).free < SPACE:
        return _missing(f"no room for 470 MB in {existing}", f"make room, or {ELSEWHERE}")
    return _ready("will be converted at its first use, 470 MB")


def _ready(found: str) -> Finding:
    return Finding("base", DEFAULT_BASE, found, needed=True)


def _missing(found: str, mend: str) -> Finding:
    return Finding("base", DEFAULT_BASE, found, False, True, DEFAULT, mend)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    return next(place for place in [folder, *folder.parents] if place.exists())


def _zoo() -> Iterator[Finding]:
    from polyrank.zoo import list_modules

    if bundled_zoo() is None:
        yield Finding("zoo", "bundled modules", "absent", False, True, "all compositions",
                      "pip install --force-reinstall --no-deps polyrank")  # fmt: skip
    if absent := absent_zoos():
        yield Finding("zoo", "POLYRANK_ZOO", f"{absent}: no such folder", False, True,
                      "all verbs", "correct POLYRANK_ZOO, or unset it")  # fmt: skip
        return
    try:
        modules = list_modules()
    except PolyrankError as error:
        yield Finding("zoo", "modules", first_line(error), False, True, "all compositions",
                      "polyrank zoo verify")  # fmt: skip
        return
    counts = Counter((one.source, one.card.base, one.card.role, one.card.kind) for one in modules)
    for (source, base, role, kind), number in sorted(counts.items()):
        yield Finding("zoo", f"{base}/{role}/{kind}", f"{number} {source}")
