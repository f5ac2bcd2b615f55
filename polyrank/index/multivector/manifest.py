"""The manifest: which segments an index consists of now. To replace it is to change the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polyrank.errors import DataError, UsageError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.binding import Binding, Module, binding_from
from polyrank.index.multivector.durable_files import File
from polyrank.locks import INSIDE
from polyrank.typed_fields import check_types

FORMAT = 1
MANIFEST, SEGMENTS, TOMBSTONES, CODEBOOK = "manifest.json", "segments", "tombstones", "codec"
WORK = ".work"  # beside a folder: its unfinished build


@dataclass(frozen=True)
class Tombstones:
    """A file of sorted document numbers that are deleted from a segment."""

    name: str
    count: int
    file: File


@dataclass(frozen=True)
class Entry:
    """One segment, an immutable folder.

    Attributes:
        modules: per language of its documents, the language module that encoded them.
        files: every file of the folder.
    """

    name: str
    documents: int
    tokens: int
    modules: Mapping[str, Module | None]
    files: Mapping[str, File]
    deleted: Tombstones | None = None

    @property
    def live(self) -> int:
        """Documents that are not deleted."""
        return self.documents - (self.deleted.count if self.deleted else 0)


@dataclass(frozen=True)
class Manifest:
    """One state of an index.

    Attributes:
        generation: 1 after the build, one more with every change.
        codec: how token vectors are stored, a name of `CODECS`; `storage` in the file.
        codebook: the files of the codebook's folder, `codec` in the file; none for an exact index
            without centroids.
    """

    generation: int
    binding: Binding
    codec: str
    codebook: Mapping[str, File]
    segments: tuple[Entry, ...] = field(default=())

    @property
    def live(self) -> int:
        return sum(entry.live for entry in self.segments)

    def paths(self) -> dict[str, File]:
        """Every file of this state, by its path in the index."""
        paths = {f"{CODEBOOK}/{name}": file for name, file in self.codebook.items()}
        for entry in self.segments:
            for name, file in entry.files.items():
                paths[f"{SEGMENTS}/{entry.name}/{name}"] = file
            if entry.deleted:
                paths[f"{TOMBSTONES}/{entry.deleted.name}"] = entry.deleted.file
        return paths


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make this the state of the index, in one step."""
    record = asdict(manifest)
    record["storage"], record["codec"] = record.pop("codec"), record.pop("codebook")
    files.replace(folder / MANIFEST, {"format_version": FORMAT, **record})


def read_manifest(folder: Path) -> Manifest:
    """The state of an index now.

    Raises:
        UsageError: no index there; the message names an unfinished build.
        DataError: a manifest that cannot be read.
    """
    path = folder / MANIFEST
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(_missing(folder)) from None
    except ValueError as error:
        raise DataError(path, None, f"is not valid JSON ({error}); {files.RESTORE}") from error
    version = record.pop("format_version", None) if isinstance(record, dict) else None
    if version != FORMAT:
        raise DataError(
            path, None, f"has format version {version!r}; this polyrank reads {FORMAT}: upgrade it"
        )
    try:
        found = Manifest(
            generation=record["generation"],
            binding=binding_from(record["binding"]),
            codec=record["storage"],
            codebook=_files(record["codec"]),
            segments=tuple(entry_from(entry) for entry in record["segments"]),
        )
        check_types(found)
        return found
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"lacks a field, or has one of another type ({error}); {files.RESTORE}"
        raise DataError(path, None, reason) from error


def entry_from(record: Mapping[str, Any]) -> Entry:
    """A segment's entry out of JSON."""
    deleted = record.get("deleted")
    modules = {tag: Module(**m) if m else None for tag, m in record["modules"].items()}
    return Entry(
        record["name"],
        record["documents"],
        record["tokens"],
        modules,
        _files(record["files"]),
        Tombstones(deleted["name"], deleted["count"], File(**deleted["file"])) if deleted else None,
    )


def leftovers(folder: Path, manifest: Manifest) -> list[Path]:
    """What lies in an index and belongs to no state: left by a process that was killed."""
    segments = {entry.name for entry in manifest.segments}
    tombstones = {entry.deleted.name for entry in manifest.segments if entry.deleted}
    unnamed = [p for p in _list(folder / SEGMENTS) if p.name not in segments]
    unnamed += [p for p in _list(folder / TOMBSTONES) if p.name not in tombstones]
    known = {MANIFEST, SEGMENTS, TOMBSTONES, CODEBOOK, INSIDE}
    return unnamed + [p for p in _list(folder) if p.name not in known]


def work_folder(folder: Path) -> Path:
    """Where an index is built before it gets its name."""
    return folder.with_name(folder.name + WORK) if folder.name else folder / WORK


def _list(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _files(record: Mapping[str, Any]) -> dict[str, File]:
    return {name: File(**file) for name, file in record.items()}


def _missing(folder: Path) -> str:
    if work_folder(folder).is_dir():
        return (
            f"the index '{folder}' is not finished: its build was stopped.\n"
            "Continue with the same 'polyrank index build' and --resume, or start over after:  "
            f"rm -r {work_folder(folder)}"
        )
    return (
        f"no index found in '{folder}'.\n"
        f"Build one with:  polyrank index build {folder} --documents FILE"
    )
