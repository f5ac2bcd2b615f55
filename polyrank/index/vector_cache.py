"""Vectors of documents that a search made, for the next search of the same documents.

A folder for each set: a dense folder, and what was noted while its texts were encoded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.collections.files import writing
from polyrank.errors import DataError, UsageError, first_line
from polyrank.index import dense_folder
from polyrank.index.dense_folder import DenseManifest
from polyrank.locks import locked
from polyrank.notes import Note, Notes
from polyrank.progress import note

if TYPE_CHECKING:
    from polyrank.index.dense_folder import Vectors

ENCODING = 1  # another number where the code that encodes gives other vectors
NOTES = "notes.json"


@dataclass(frozen=True)
class Cached:
    """Vectors in a cache.

    folder: where they are. bytes: of all its files. encoded: whether they were made just now.
    """

    folder: Path
    bytes: int
    encoded: bool


def cached_vectors(
    root: Path | None,
    manifest: DenseManifest,
    ids: Sequence[str],
    encode: Callable[[], tuple[Vectors, Notes]],
    depends: Sequence[Any] = (),
) -> tuple[Vectors, Notes, Cached | None]:
    """The vectors of documents, from a cache where they are there; else encoded, and put there.

    What is damaged there is encoded again. A cache that cannot be written is told.

    Args:
        root: of the cache; None for none.
        encode: → unit vectors (documents, dimension), and what was noted on the way.
        depends: on what the vectors depend beyond the manifest; values of JSON.

    Returns:
        The vectors, what was noted when they were encoded, and where they are, if they are.
    """
    if root is None:
        return *encode(), None
    key = json.dumps([ENCODING, asdict(manifest), depends], sort_keys=True)
    folder = root / hashlib.sha256(key.encode()).hexdigest()[:24]
    if (found := _read(folder, manifest)) is not None:
        return *found, _cached(folder, encoded=False)
    vectors, notes = encode()
    try:
        with locked(folder, wait=True):
            if _read(folder, manifest) is None:
                _write(folder, manifest, ids, vectors, notes)
    except (UsageError, OSError) as error:
        note(f"the document vectors are not kept for the next search: {first_line(error)}")
        return vectors, notes, None
    return vectors, notes, _cached(folder, encoded=True)


def _read(folder: Path, manifest: DenseManifest) -> tuple[Vectors, Notes] | None:
    """What is there; None where it is missing, damaged, or not what was asked for."""
    try:
        found, _, vectors = dense_folder.load(folder)
        rows = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        notes = Notes((Note(kind, text), int(times)) for kind, text, times in rows)
    except (DataError, OSError, ValueError, TypeError):
        return None
    return (vectors, notes) if found == manifest else None


def _write(
    folder: Path, manifest: DenseManifest, ids: Sequence[str], vectors: Vectors, notes: Notes
) -> None:
    for old in (folder, dense_folder.unfinished(folder)):
        shutil.rmtree(old, ignore_errors=True)
    dense_folder.build(folder, manifest, ids, lambda start, end: vectors[start:end])
    with writing(folder / NOTES) as file:
        json.dump([[one.kind, one, times] for one, times in notes.items()], file)


def _cached(folder: Path, encoded: bool) -> Cached:
    return Cached(folder, sum(file.stat().st_size for file in folder.iterdir()), encoded)
