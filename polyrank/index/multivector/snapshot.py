"""One state of an index, opened for reading. Writers do not disturb it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from polyrank.collections.records import Document
from polyrank.errors import DataError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.binding import Module
from polyrank.index.multivector.codebook import read_codebook
from polyrank.index.multivector.manifest import (
    CODEBOOK,
    SEGMENTS,
    TOMBSTONES,
    Manifest,
    read_manifest,
)
from polyrank.index.multivector.segment import Numbers, Segment, open_segment
from polyrank.kernels.codecs import codec_of
from polyrank.kernels.codecs.codec import Codebook

ATTEMPTS = 5  # to open a state, when writers replace it meanwhile


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A manifest and what it names.

    A document's ordinal is its place in the segments taken end to end, deleted ones counted.
    """

    folder: Path
    manifest: Manifest
    codebook: Codebook
    segments: tuple[Segment, ...]

    @cached_property
    def starts(self) -> Numbers:
        """The first ordinal of each segment, and the end: (S + 1,)."""
        return np.cumsum([0, *(len(segment.ids) for segment in self.segments)])

    @cached_property
    def ids(self) -> list[str]:
        """The id of each ordinal."""
        return [identity for segment in self.segments for identity in segment.ids]

    @cached_property
    def rank(self) -> Numbers:
        """The place of each ordinal's id among all ids, by which ties are broken."""
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank

    @cached_property
    def ordinals(self) -> dict[str, int]:
        """The ordinal of each living document."""
        alive = np.concatenate([s.alive for s in self.segments] or [np.empty(0, bool)])
        return {identity: i for i, identity in enumerate(self.ids) if alive[i]}

    @cached_property
    def counts(self) -> dict[str, int]:
        """Living documents of each language, by tag."""
        tags = [s.languages[s.alive] for s in self.segments]
        found, counts = np.unique(np.concatenate(tags or [np.empty(0, object)]), return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    @cached_property
    def modules(self) -> dict[str, Module | None]:
        """The language modules that living documents were encoded by, per language."""
        found: dict[str, Module | None] = {}
        for segment in self.segments:
            living = set(segment.languages[segment.alive])
            found |= {tag: m for tag, m in segment.entry.modules.items() if tag in living}
        return found

    def split(self, ordinals: Iterable[int]) -> dict[int, Numbers]:
        """Ordinals by segment: segment → numbers within it, ascending."""
        ordered = np.unique(np.fromiter(ordinals, dtype=np.int64))
        segment_of = np.searchsorted(self.starts, ordered, side="right") - 1
        return {int(s): ordered[segment_of == s] - self.starts[s] for s in np.unique(segment_of)}

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Living documents by id, with their texts; unknown ids are left out."""
        known = [self.ordinals[identity] for identity in ids if identity in self.ordinals]
        found = {}
        for s, numbers in self.split(known).items():
            found.update({d.id: d for d in self.segments[s].documents(numbers)})
        return {identity: found[identity] for identity in ids if identity in found}


def open_snapshot(folder: str | Path) -> Snapshot:
    """Open the state of an index now.

    Raises:
        UsageError: no index there.
        DataError: a damaged one.
    """
    folder = Path(folder)
    for attempt in range(1, ATTEMPTS + 1):
        manifest = read_manifest(folder)
        try:
            return _open(folder, manifest)
        except FileNotFoundError as error:
            if attempt == ATTEMPTS or read_manifest(folder).generation == manifest.generation:
                raise DataError(error.filename, None, f"is missing; {files.RESTORE}") from error
    raise AssertionError("unreachable")


def _open(folder: Path, manifest: Manifest) -> Snapshot:
    codec = codec_of(manifest.codec)
    codebook = read_codebook(folder / CODEBOOK, manifest.codebook, codec)
    segments = tuple(
        _with_tombstones(
            folder, open_segment(folder / SEGMENTS / entry.name, entry, codec, codebook)
        )
        for entry in manifest.segments
    )
    return Snapshot(folder, manifest, codebook, segments)


def _with_tombstones(folder: Path, segment: Segment) -> Segment:
    deleted = segment.entry.deleted
    if deleted is None:
        return segment
    alive = segment.alive.copy()
    alive[files.read_array(folder / TOMBSTONES / deleted.name)] = False
    return replace(segment, alive=alive)
