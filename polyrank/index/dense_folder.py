"""Dense vectors on disk: memory-mapped, bound to the base that made them, built in resumable steps.

A folder holds `manifest.json` (what the vectors depend on), `ids.json` and `vectors.npy` (fp32, a
row per document, in the order of the ids). It is built beside its place, as `.NAME.partial`, and
takes its name when the last vector is written: a folder under its own name is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyrank.base import Base
from polyrank.collections.files import writing
from polyrank.collections.records import Document
from polyrank.errors import DataError, UsageError
from polyrank.locks import locked
from polyrank.typed_fields import check_types

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

FORMAT = 1
MANIFEST, IDS, VECTORS, PROGRESS = "manifest.json", "ids.json", "vectors.npy", "progress.json"
STEP = 4096  # documents between two records of progress


@dataclass(frozen=True)
class DenseManifest:
    """What the vectors depend on. Two folders with equal manifests hold the same bytes."""

    base: str
    weights: str  # of the base, fingerprints
    vocabulary: str
    max_length: int  # tokens of a text that were read
    dimension: int
    documents: int
    content: str  # hash of the documents' ids and texts
    pooling: str = "mean"
    format: int = FORMAT
    query_prefix: str = ""  # put before the texts; indexes of before these fields had none
    passage_prefix: str = ""
    precision: str = "fp32"  # that the vectors were computed in

    def check_base(self, base: Base, folder: Path) -> None:
        """Refuse a base that did not make these vectors.

        Raises:
            UsageError: when weights, vocabulary, prefixes or pooling differ.
        """
        mark = base.fingerprint
        if (mark.weights, mark.vocabulary) != (self.weights, self.vocabulary):
            raise UsageError(
                f"the dense index '{folder}' was made by base '{self.base}' (weights "
                f"{self.weights[:8]}…, vocabulary {self.vocabulary[:8]}…), but this base is "
                f"'{base.name}' ({mark}).\n"
                "Open it with the base it was made with, or build another index."
            )
        card = base.card
        now = (card.query_prefix, card.passage_prefix, card.pooling)
        if now != (self.query_prefix, self.passage_prefix, self.pooling):
            raise UsageError(
                f"the dense index '{folder}' was made with the prefixes {self.query_prefix!r} and "
                f"{self.passage_prefix!r} and the pooling '{self.pooling}', but the card of the "
                f"base '{base.name}' says {card.query_prefix!r}, {card.passage_prefix!r} and "
                f"'{card.pooling}'.\nBuild the index again."
            )


def manifest_of(documents: Sequence[Document], base: Base, max_length: int) -> DenseManifest:
    """The manifest of an index over these documents, which are in the order of their rows."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(json.dumps([document.id, document.full_text]).encode())
    return DenseManifest(
        base.name,
        base.fingerprint.weights,
        base.fingerprint.vocabulary,
        max_length,
        base.model.config.hidden_size,
        len(documents),
        digest.hexdigest(),
        base.card.pooling,
        query_prefix=base.card.query_prefix,
        passage_prefix=base.card.passage_prefix,
    )


def build(
    folder: str | Path,
    manifest: DenseManifest,
    ids: Sequence[str],
    encode: Callable[[int, int], Vectors],
    resume: bool = False,
) -> None:
    """Write an index step by step; a kill loses at most the step in hand.

    Steps have one size wherever the last call stopped, so a resumed folder has the bytes of an
    uninterrupted one.

    Args:
        encode: (first row, end) -> unit vectors, (rows, dimension).
        resume: go on where an interrupted call with the same manifest stopped.

    Raises:
        UsageError: when the folder is there, or an unfinished one is and may not be continued.
    """
    target = Path(folder)
    with locked(target):
        _build(target, manifest, ids, encode, resume)


def unfinished(folder: Path) -> Path:
    """Where a folder is built before it takes its name."""
    return folder.with_name(f".{folder.name}.partial")


def _build(
    target: Path,
    manifest: DenseManifest,
    ids: Sequence[str],
    encode: Callable[[int, int], Vectors],
    resume: bool,
) -> None:
    """Build under the lock of the folder; see `build`."""
    partial = unfinished(target)
    if target.exists():
        raise UsageError(f"'{target}' already exists; choose another folder, or remove it first")
    done = _start(partial, manifest, ids, resume)
    vectors = np.lib.format.open_memmap(partial / VECTORS, mode="r+")
    for start in range(done, len(ids), STEP):
        end = min(start + STEP, len(ids))
        vectors[start:end] = encode(start, end)
        vectors.flush()
        _write(partial / PROGRESS, {"done": end})
    del vectors
    (partial / PROGRESS).unlink(missing_ok=True)
    partial.rename(target)


def _start(partial: Path, manifest: DenseManifest, ids: Sequence[str], resume: bool) -> int:
    """Make the unfinished folder, or find how many rows of it are done."""
    if not (partial / PROGRESS).exists():  # nothing there that would be lost
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial / IDS, list(ids))
        _write(partial / MANIFEST, asdict(manifest))
        shape = (manifest.documents, manifest.dimension)
        np.lib.format.open_memmap(partial / VECTORS, mode="w+", dtype=np.float32, shape=shape)
        _write(partial / PROGRESS, {"done": 0})
        return 0
    if not resume:
        raise UsageError(
            f"'{partial}' is the unfinished index of an earlier build.\n"
            f"Continue it with resume, or start over after:  rm -r {partial}"
        )
    before, now = asdict(_read_manifest(partial)), asdict(manifest)
    changed = [
        f"{name} was {before[name]} and is {now[name]}" for name in now if before[name] != now[name]
    ]
    if changed:
        raise UsageError(
            f"'{partial}' was started with other settings or documents: {'; '.join(changed)}.\n"
            f"Use the same ones as before, or start over after:  rm -r {partial}"
        )
    return int(_read(partial / PROGRESS)["done"])


def load(folder: str | Path) -> tuple[DenseManifest, list[str], Vectors]:
    """DenseManifest, ids and memory-mapped vectors, (documents, dimension), read-only.

    Raises:
        DataError: when the folder is missing, unfinished, or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        partial = unfinished(folder)
        more = f"; '{partial}' is unfinished: build it with resume" if partial.exists() else ""
        raise DataError(folder, None, f"dense index not found{more}")
    manifest = _read_manifest(folder)
    ids = _read(folder / IDS)
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise DataError(folder / IDS, None, "not a list of ids; build it again")
    try:
        vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python, which fails in any way
        raise DataError(folder / VECTORS, None, f"damaged, rebuild it: {error}") from error
    shape = (manifest.documents, manifest.dimension)
    if vectors.shape != shape or vectors.dtype != np.float32 or len(ids) != manifest.documents:
        raise DataError(folder, None, f"manifest, ids and vectors disagree on {shape}; build again")
    return manifest, ids, vectors


def _read_manifest(folder: Path) -> DenseManifest:
    row = _read(folder / MANIFEST)
    names = {field.name for field in fields(DenseManifest)}
    late = {"query_prefix", "passage_prefix"}  # not in the oldest folders
    if (
        not isinstance(row, dict)
        or row.get("format") != FORMAT
        or not names - late <= set(row) <= names
    ):
        reason = "not a dense index of this version of polyrank; rebuild it"
        raise DataError(folder / MANIFEST, None, reason)
    found = DenseManifest(**row)
    try:
        check_types(found)
        if min(found.max_length, found.dimension, found.documents) < 0:
            raise TypeError("a number is below 0")
    except TypeError as error:
        reason = f"a field of the wrong type ({error}); build it again"
        raise DataError(folder / MANIFEST, None, reason) from None
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(path, None, "file not found, so this is not a dense index") from None
    except ValueError as error:
        raise DataError(path, None, f"not readable as JSON ({error}); build it again") from None


def _write(path: Path, value: Any) -> None:
    with writing(path) as file:
        json.dump(value, file, ensure_ascii=False)
        file.write("\n")
