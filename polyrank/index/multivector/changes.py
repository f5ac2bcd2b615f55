"""Add, delete, compact: new files beside the old ones, then one new manifest.

Whatever happens before the manifest is replaced leaves the old state; whatever happens after it
leaves the new one. Files of neither are removed by the next change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from polyrank.collections.id_policies import ON_DUPLICATE, ON_MISSING
from polyrank.collections.records import Document
from polyrank.errors import Interrupted, UsageError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.binding import check_binding
from polyrank.index.multivector.encoder import Encoder
from polyrank.index.multivector.encoding import (
    SHARD,
    Encoded,
    encode_all,
    modules_now,
    shards,
    with_languages,
    write_encoded,
)
from polyrank.index.multivector.manifest import (
    SEGMENTS,
    TOMBSTONES,
    Entry,
    Manifest,
    Tombstones,
    leftovers,
    write_manifest,
)
from polyrank.index.multivector.search import blocks
from polyrank.index.multivector.segment import Numbers, Segment, record_lines, write_segment
from polyrank.index.multivector.snapshot import Snapshot, open_snapshot
from polyrank.kernels.codecs import codec_of
from polyrank.locks import locked
from polyrank.progress import bar

SEGMENT_TOKENS = 1 << 21  # tokens of a compacted segment: 512 MB of fp16 at 128 dimensions
NAMED = 5  # ids that a message lists


@dataclass(frozen=True)
class Change:
    """What a change did.

    Attributes:
        generation: of the index now; as before when there was nothing to do.
        added, deleted: documents; a replaced one counts in both.
        empty: of those added, the ones without text: kept, and never found.
        skipped: documents that were there already, or ids to delete that were not.
        leftovers: files of a killed process that were removed.
    """

    generation: int
    added: int = 0
    deleted: int = 0
    empty: int = 0
    skipped: int = 0
    leftovers: int = 0


@contextmanager
def writing(folder: Path) -> Iterator[tuple[Snapshot, int]]:
    """The state to change, with no other writer and no leftovers; and how many there were."""
    open_snapshot(folder)  # says what is wrong before a lock is made
    with locked(folder, inside=True):
        snapshot = open_snapshot(folder)
        found = leftovers(folder, snapshot.manifest)
        for path in found:
            files.remove(path)
        yield snapshot, len(found)


def add(
    folder: str | Path,
    documents: Iterable[Document],
    encoder: Encoder,
    duplicates: str = "error",
    shard: int = SHARD,
    progress: bool = True,
) -> Change:
    """Add documents, all or none.

    Args:
        duplicates: of documents whose id the index has: 'error', 'replace' or 'skip' them.
        shard: documents encoded at a time; each lot becomes a segment.

    Raises:
        UsageError: an id twice among the new ones, or in the index under 'error'; another writer.
        CompositionError: a model that is not the index's.
        DataError: a full disk; the index stays as it was.
    """
    if duplicates not in ON_DUPLICATE:
        raise UsageError(f"duplicates is '{duplicates}'; use one of {', '.join(ON_DUPLICATE)}")
    folder = Path(folder)
    with writing(folder) as (snapshot, removed):
        check_encoder(snapshot, encoder)
        generation = snapshot.manifest.generation + 1
        entries: list[Entry] = []
        gone: list[int] = []
        lines: list[list[bytes]] = []  # of documents on their way, oldest first
        empty = skipped = 0
        with _cleaned(folder, snapshot), bar("encoding documents", None, progress) as drawn:

            def fresh() -> Iterator[list[Document]]:
                nonlocal skipped
                for new in shards(documents, shard):
                    there = [d.id for d in new if d.id in snapshot.ordinals]
                    if there and duplicates == "error":
                        raise UsageError(_there(folder, there))
                    if duplicates == "replace":
                        gone.extend(snapshot.ordinals[identity] for identity in there)
                    else:
                        new = [d for d in new if d.id not in snapshot.ordinals]
                        skipped += len(there)
                    if new:
                        lot = with_languages(new, encoder)
                        lines.append(record_lines(lot))
                        yield lot

            for encoded in encode_all(fresh(), encoder):
                name = f"{generation:06d}-{len(entries):06d}"
                entries.append(_add_segment(folder, name, lines.pop(0), encoded, snapshot))
                empty += encoded.empty
                drawn.advance(entries[-1].documents)
            if not entries:
                return Change(generation - 1, skipped=skipped, leftovers=removed)
            old = _with_deleted(folder, snapshot, gone, generation)
            _commit(folder, snapshot.manifest, [*old, *entries])
        added = sum(entry.documents for entry in entries)
        return Change(generation, added, len(gone), empty, skipped, removed)


def delete(
    folder: str | Path,
    ids: Sequence[str] = (),
    languages: Sequence[str] = (),
    missing: str = "error",
) -> Change:
    """Mark documents as deleted; `compact` frees their space.

    Args:
        ids: of documents.
        languages: all documents in these, too.
        missing: of ids that the index lacks: 'error' or 'skip' them.

    Raises:
        UsageError: ids that the index lacks under 'error', or another writer.
    """
    if missing not in ON_MISSING:
        raise UsageError(f"missing is '{missing}'; use one of {', '.join(ON_MISSING)}")
    folder = Path(folder)
    with writing(folder) as (snapshot, removed):
        unknown = [identity for identity in dict.fromkeys(ids) if identity not in snapshot.ordinals]
        if unknown and missing == "error":
            raise UsageError(
                f"'{folder}' has no document {_listed(unknown)}; nothing was deleted.\n"
                "Correct the ids, or ignore unknown ones with --missing skip."
            )
        gone = {snapshot.ordinals[identity] for identity in ids if identity in snapshot.ordinals}
        for first, segment in zip(snapshot.starts, snapshot.segments, strict=False):
            chosen = segment.alive & np.isin(segment.languages, list(languages))
            gone |= set((np.flatnonzero(chosen) + first).tolist())
        generation = snapshot.manifest.generation
        if gone:
            generation += 1
            with _cleaned(folder, snapshot):
                entries = _with_deleted(folder, snapshot, gone, generation)
                _commit(folder, snapshot.manifest, entries)
        return Change(generation, deleted=len(gone), skipped=len(unknown), leftovers=removed)


def compact(folder: str | Path, tokens: int = SEGMENT_TOKENS, progress: bool = True) -> Change:
    """Merge segments and drop deleted documents. Vectors are copied, so no result changes.

    Args:
        tokens: of a merged segment, about.

    Raises:
        UsageError: another writer.
        DataError: a full disk; the index stays as it was.
    """
    folder = Path(folder)
    with writing(folder) as (snapshot, removed):
        manifest = snapshot.manifest
        generation, deleted = manifest.generation, len(snapshot.ids) - manifest.live
        plan = _groups(snapshot, tokens)
        if not deleted and len(plan) >= len(snapshot.segments):
            return Change(generation, leftovers=removed)
        with _cleaned(folder, snapshot), bar("compacting", manifest.live, progress) as drawn:
            entries = []
            for number, group in enumerate(plan):
                entries.append(_merge(folder, f"{generation + 1:06d}-{number:06d}", group))
                drawn.advance(entries[-1].documents)
            _commit(folder, manifest, entries)
        return Change(generation + 1, deleted=deleted, leftovers=removed)


def check_encoder(snapshot: Snapshot, encoder: Encoder) -> None:
    """Refuse an encoder that is not the index's.

    Raises:
        CompositionError: naming all that differs.
    """
    check_binding(
        str(snapshot.folder),
        snapshot.manifest.binding,
        encoder.binding,
        snapshot.modules,
        modules_now(snapshot.modules, encoder),
    )


# --- parts ---------------------------------------------------------------------------------------


def _commit(folder: Path, before: Manifest, entries: Sequence[Entry]) -> None:
    for name in (SEGMENTS, TOMBSTONES):
        files.sync(folder / name)
    after = replace(before, generation=before.generation + 1, segments=tuple(entries))
    write_manifest(folder, after)
    for path in leftovers(folder, after):  # what this change has replaced
        files.remove(path)


@contextmanager
def _cleaned(folder: Path, snapshot: Snapshot) -> Iterator[None]:
    """Remove what a change has written when it fails; the state is what the manifest says."""
    try:
        yield
    except BaseException as error:
        now = open_snapshot(folder).manifest
        for path in leftovers(folder, now):
            files.remove(path)
        if isinstance(error, KeyboardInterrupt) and now == snapshot.manifest:
            raise Interrupted(f"stopped; '{folder}' is unchanged") from None
        raise


def _add_segment(
    folder: Path, name: str, lines: list[bytes], encoded: Encoded, snapshot: Snapshot
) -> Entry:
    place = folder / SEGMENTS / name
    place.mkdir()
    codec = codec_of(snapshot.manifest.codec)
    entry = write_encoded(place, name, lines, encoded, codec, snapshot.codebook)
    files.sync(place)
    return entry


def _with_deleted(
    folder: Path, snapshot: Snapshot, gone: Iterable[int], generation: int
) -> list[Entry]:
    """The entries with more documents deleted."""
    entries = list(snapshot.manifest.segments)
    for s, numbers in snapshot.split(gone).items():
        dead = np.union1d(np.flatnonzero(~snapshot.segments[s].alive), numbers)
        name = f"{entries[s].name}.{generation:06d}.npy"
        file = files.write_array(folder / TOMBSTONES / name, dead)
        entries[s] = replace(entries[s], deleted=Tombstones(name, len(dead), file))
    return entries


Group = list[tuple[Segment, Numbers]]  # documents of several segments


def _groups(snapshot: Snapshot, tokens: int) -> list[Group]:
    """The living documents in runs of about so many tokens, across segments."""
    groups: list[Group] = []
    room = 0
    for segment in snapshot.segments:
        for numbers in blocks(segment, segment.alive, tokens):
            size = int(segment.lengths[numbers].sum())
            if not groups or size > room:
                groups, room = [*groups, []], tokens
            groups[-1].append((segment, numbers))
            room -= size
    return groups


def _merge(folder: Path, name: str, group: Group) -> Entry:
    place = folder / SEGMENTS / name
    place.mkdir()
    codebook = group[0][0].codebook
    names = list(group[0][0].arrays)
    taken = [segment.take(numbers, names)[0] for segment, numbers in group]
    languages = {str(tag) for segment, numbers in group for tag in segment.languages[numbers]}
    modules = {tag: m for segment, _ in group for tag, m in segment.entry.modules.items()}
    entry = write_segment(
        place,
        name,
        [line for segment, numbers in group for line in segment.lines(numbers)],
        {key: torch.cat([arrays[key] for arrays in taken]) for key in names},
        np.concatenate([segment.lengths[numbers] for segment, numbers in group]),
        {tag: module for tag, module in modules.items() if tag in languages},
        codebook.count,
    )
    files.sync(place)
    return entry


def _there(folder: Path, ids: Sequence[str]) -> str:
    return (
        f"'{folder}' already has the document {_listed(ids)}; nothing was added.\n"
        "Replace the old texts with --duplicates replace, or ignore the new ones with "
        "--duplicates skip."
    )


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(f"'{identity}'" for identity in ids[:NAMED]) + more
