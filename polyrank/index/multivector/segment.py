"""A segment: documents that were written together, with their vectors; a folder that never changes.

documents.jsonl  ends.npy         the records, and where each line ends
names.json                        ids and languages
offsets.npy                       (D + 1,): document i is token rows offsets[i] to offsets[i + 1]
<arrays of the codec>.npy  codes.npy
postings.npy  posting_offsets.npy the documents of each centroid
segment.json                      this segment's entry in the manifest
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrank.collections.records import Document
from polyrank.errors import DataError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.binding import Module
from polyrank.index.multivector.manifest import Entry, entry_from
from polyrank.kernels.codecs.codec import Codebook, Codec, Queries
from polyrank.kernels.codecs.compressed import compiled
from polyrank.kernels.cpu import native
from polyrank.languages.tags import UNKNOWN, normalise
from polyrank.modules.card import sha256
from polyrank.typed_fields import check_types

ENTRY = "segment.json"

Numbers = NDArray[np.int64]


def normalised(languages: Sequence[str] | None) -> list[str] | None:
    """Tags of languages as segments keep them; 'und' is that of unknown ones.

    Raises:
        LanguageError: an unknown tag.
    """
    if languages is None:
        return None
    return [tag if tag == UNKNOWN else normalise(tag) for tag in languages]


def record_lines(documents: Sequence[Document]) -> list[bytes]:
    """Documents as lines of JSON."""
    return [
        (json.dumps(asdict(document), ensure_ascii=False) + "\n").encode() for document in documents
    ]


def write_segment(
    folder: Path,
    name: str,
    lines: Sequence[bytes],
    arrays: Mapping[str, Tensor],
    lengths: Numbers,
    modules: Mapping[str, Module | None],
    centroids: int,
) -> Entry:
    """Write a segment's files.

    Args:
        folder: to write into, empty.
        lines: of the documents, from `record_lines`.
        arrays: of the codec, a row per token.
        lengths: tokens of each document, (D,).
        modules: per language, the module that encoded it.
        centroids: how many the codebook has; 0 for none.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    records = [json.loads(line) for line in lines]
    tables = {
        "ends": np.cumsum([len(line) for line in lines], dtype=np.int64),
        "offsets": offsets,
        **{array: tensor.numpy() for array, tensor in arrays.items()},
    }
    if centroids:
        tables |= _postings(arrays["codes"].numpy(), lengths, centroids)
    written = {"documents.jsonl": files.write(folder / "documents.jsonl", b"".join(lines))}
    written["names.json"] = files.write_json(
        folder / "names.json",
        {
            "ids": [record["id"] for record in records],
            "languages": [record["language"] or UNKNOWN for record in records],
        },
    )
    for table, array in sorted(tables.items()):
        written[f"{table}.npy"] = files.write_array(folder / f"{table}.npy", array)
    entry = Entry(name, len(lines), int(offsets[-1]), dict(modules), written)
    own = files.write_json(folder / ENTRY, asdict(entry))
    return replace(entry, files={**written, ENTRY: own})


def read_entry(folder: Path) -> Entry:
    """The entry of a segment that was written whole, its own file included."""
    path = folder / ENTRY
    entry = entry_from(json.loads(path.read_text(encoding="utf-8")))
    own = files.File(sha256(path), path.stat().st_size)
    return replace(entry, files={**entry.files, ENTRY: own})


def _postings(codes: NDArray[Any], lengths: Numbers, centroids: int) -> dict[str, NDArray[Any]]:
    """Which documents have a token at each centroid, as a list per centroid."""
    documents = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    pairs = np.unique(codes.astype(np.int64) * max(len(lengths), 1) + documents)
    of_centroid, postings = np.divmod(pairs, max(len(lengths), 1))
    starts = np.searchsorted(of_centroid, np.arange(centroids + 1))
    return {"postings": postings.astype(np.int32), "posting_offsets": starts.astype(np.int64)}


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment, mapped into memory.

    Attributes:
        ids, languages: of all its documents, deleted ones too.
        alive: (D,) bool, False for deleted ones.
        arrays: of the codec, and `codes` where there are centroids.
        text, ends: the bytes of `documents.jsonl`, and where each line ends.
        postings, posting_offsets: the documents of each centroid; empty without centroids.
    """

    entry: Entry
    codec: Codec
    codebook: Codebook
    ids: list[str]
    languages: NDArray[Any]
    alive: NDArray[np.bool_]
    offsets: Numbers
    arrays: Mapping[str, Tensor]
    text: NDArray[np.uint8]
    ends: Numbers
    postings: NDArray[np.int32]
    posting_offsets: Numbers

    @cached_property
    def lengths(self) -> Numbers:
        """Tokens of each document, (D,).

        Raises:
            DataError: offsets that are not those of documents.
        """
        lengths = np.diff(self.offsets)
        ends = self.offsets[[0, -1]].tolist()
        if ends != [0, self.entry.tokens] or bool((lengths < 0).any()):
            path = Path("segments") / self.entry.name / "offsets.npy"
            raise DataError(path, None, f"holds other numbers than offsets; {files.RESTORE}")
        return lengths

    def kept(self, languages: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Which documents a search may find, (D,): alive, in these languages, not empty."""
        kept = self.alive & (self.lengths > 0)
        return kept if languages is None else kept & np.isin(self.languages, list(languages))

    def take(
        self, numbers: Numbers, names: Sequence[str] | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Rows and offsets of some documents, ascending; a view where they are neighbours."""
        lengths = self.lengths[numbers]
        offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
        names = self.codec.arrays if names is None else names
        if len(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers):
            rows = slice(self.offsets[numbers[0]], self.offsets[numbers[-1] + 1])
            return {name: self.arrays[name][rows] for name in names}, offsets
        shift = np.repeat(self.offsets[numbers] - offsets[:-1].numpy(), lengths)
        picked = torch.from_numpy(np.arange(len(shift)) + shift)
        return {name: self.arrays[name][picked] for name in names}, offsets

    def score(self, queries: Queries, numbers: Numbers, device: torch.device) -> Tensor:
        """MaxSim of queries with some documents: (Q, len(numbers)), fp32, on the CPU."""
        if device.type == "cpu" and native.level() and self.codec.native_rows is not None:
            rows = self.codec.native_rows(self.arrays, self.codebook)
            offsets, picked = torch.from_numpy(self.offsets), torch.from_numpy(numbers)
            asked = queries.vectors, rows, offsets
            return compiled(*asked, query_mask=queries.mask, picked=picked)
        arrays, offsets = self.take(numbers)
        moved = {name: array.to(device) for name, array in arrays.items()}
        batch = queries.to(device)
        return self.codec.scores(batch, moved, offsets.to(device), self.codebook).cpu()

    def vectors(self, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """Decoded vectors (T, d) fp32 of some documents, and their offsets."""
        arrays, offsets = self.take(numbers)
        return self.codec.decode(arrays, self.codebook), offsets

    def lines(self, numbers: Numbers) -> list[bytes]:
        """The lines of some documents."""
        starts = [int(self.ends[number - 1]) if number else 0 for number in numbers]
        return [
            self.text[start : int(self.ends[number])].tobytes()
            for start, number in zip(starts, numbers, strict=True)
        ]

    def documents(self, numbers: Numbers) -> list[Document]:
        """Some documents, as they were added."""
        try:
            found = [Document(**json.loads(line)) for line in self.lines(numbers)]
            check_types(tuple(found), tuple[Document, ...], "a document")
            return found
        except (ValueError, TypeError) as error:
            raise _altered(f"documents.jsonl of segment {self.entry.name}") from error

    def with_centroids(self, probed: Numbers) -> Numbers:
        """Documents that have a token at one of these centroids, ascending."""
        starts, documents = self.posting_offsets, self.postings
        near = np.zeros(len(self.ids), dtype=bool)
        for centroid in probed:
            near[documents[starts[centroid] : starts[centroid + 1]]] = True
        return np.flatnonzero(near)


def _altered(path: Path | str) -> DataError:
    return DataError(path, None, f"has changed since it was written; {files.RESTORE}")


def open_segment(folder: Path, entry: Entry, codec: Codec, codebook: Codebook) -> Segment:
    """Map a segment; `alive` is as if nothing were deleted.

    Raises:
        FileNotFoundError: a file is missing (it may have been compacted away meanwhile).
        DataError: a file of another size than the manifest says, or whose content cannot be.
    """
    for name, file in entry.files.items():
        size = (folder / name).stat().st_size
        if size != file.bytes:
            raise DataError(
                folder / name, None, f"has {size} bytes, not {file.bytes}; {files.RESTORE}"
            )
    ids, languages = _names(folder / "names.json", entry.documents)
    pruned = codebook.centroids is not None
    wanted = {*codec.arrays, *(["codes"] if pruned else [])}
    nothing = np.empty(0, np.int32)

    def array(name: str) -> NDArray[Any]:
        return files.read_array(folder / f"{name}.npy")

    text, ends = files.read_bytes(folder / "documents.jsonl"), array("ends")
    if len(ends) and (ends[0] < 0 or ends[-1] != len(text) or (np.diff(ends) < 0).any()):
        raise _altered(folder / "ends.npy")
    return Segment(
        entry,
        codec,
        codebook,
        ids=ids,
        languages=np.array(languages, dtype=object),
        alive=np.ones(entry.documents, dtype=bool),
        offsets=array("offsets"),
        arrays={name: torch.from_numpy(array(name)) for name in wanted},
        text=text,
        ends=ends,
        postings=array("postings") if pruned else nothing,
        posting_offsets=array("posting_offsets") if pruned else nothing.astype(np.int64),
    )


def _names(path: Path, count: int) -> tuple[list[str], list[str | None]]:
    """Ids and languages of a segment's documents."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        ids, languages = names["ids"], names["languages"]
        if not len(ids) == len(languages) == count:
            raise ValueError(f"{len(ids)} ids and {len(languages)} languages of {count} documents")
        check_types(tuple(ids), tuple[str, ...], "ids")
        check_types(tuple(languages), tuple[str | None, ...], "languages")
        return ids, languages
    except (ValueError, KeyError, TypeError) as error:
        raise _altered(path) from error
