"""Build an index: encode in shards, learn the codebook, write segments, give the folder its name.

All of it happens in FOLDER.work, where every finished step stands under a name of its own. A build
that is stopped goes on with the next step, and ends with the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.collections.records import Document
from polyrank.errors import DataError, Interrupted, UsageError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.binding import Module, binding_from
from polyrank.index.multivector.codebook import (
    clusters,
    read_codebook,
    sample_size,
    write_codebook,
)
from polyrank.index.multivector.encoder import Encoder
from polyrank.index.multivector.encoding import (
    SHARD,
    Encoded,
    encode_all,
    shards,
    with_languages,
    write_encoded,
)
from polyrank.index.multivector.manifest import (
    CODEBOOK,
    MANIFEST,
    SEGMENTS,
    TOMBSTONES,
    Entry,
    Manifest,
    work_folder,
    write_manifest,
)
from polyrank.index.multivector.segment import read_entry, record_lines
from polyrank.kernels.codecs import codec_of
from polyrank.kernels.codecs.codec import Codebook, Codec, fit_centroids
from polyrank.locks import locked
from polyrank.modules.card import sha256
from polyrank.progress import bar

PLAN, SHARDS = "plan.json", "shards"
_OPTIONS = {"storage": "codec"}  # what users know a field of the file by


@dataclass(frozen=True)
class Built:
    """What a build did: documents, of those empty, token vectors, and shards found done."""

    documents: int
    empty: int
    tokens: int
    resumed: int


@dataclass(frozen=True)
class Plan:
    """What the bytes of an index depend on, beside the documents.

    Attributes:
        codec: a name of `CODECS`.
        centroids: for pruning and residual codes; None for ColBERTv2's rule, 0 for none.
        shard: documents in a shard; each becomes a segment.
        seed: of the sample and of k-means.
    """

    codec: str = "fp16"
    centroids: int | None = None
    shard: int = SHARD
    seed: int = 0

    def check(self) -> Codec:
        """The codec.

        Raises:
            UsageError: what cannot be.
        """
        codec = codec_of(self.codec)
        if self.shard < 1 or (self.centroids or 0) < 0:
            raise UsageError("a build needs at least 1 document per shard and 0 or more centroids")
        if codec.needs_centroids and self.centroids == 0:
            raise UsageError(f"'{self.codec}' codes need centroids; leave --centroids out")
        return codec

    def record(self) -> dict[str, Any]:
        """As it is written beside an unfinished build, where the codec is called `storage`."""
        record = asdict(self)
        return {"storage": record.pop("codec"), **record}


def build(
    folder: str | Path,
    documents: Iterable[Document],
    encoder: Encoder,
    plan: Plan | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Built:
    """Encode documents into a new index.

    Args:
        folder: of the index; it must not exist.
        documents: read once, in order.
        encoder: makes the vectors.
        plan: how they are stored.
        resume: go on with a build that was stopped.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        UsageError: no documents, an id twice, an index there already, an unfinished build there
            without `resume`, or with it another model, plan or documents than before.
        DataError: a full disk; what was done is kept for `resume`.
    """
    folder, plan = Path(folder), plan or Plan()
    codec = plan.check()
    with locked(folder):
        return _build(folder, documents, encoder, plan, codec, resume, progress)


def _build(
    folder: Path,
    documents: Iterable[Document],
    encoder: Encoder,
    plan: Plan,
    codec: Codec,
    resume: bool,
    progress: bool,
) -> Built:
    """Build under the lock of the folder; see `build`."""
    work = work_folder(folder)
    if folder.exists():
        raise UsageError(
            f"'{folder}' already exists.\n"
            f"Add to it with:  polyrank index add {folder} --documents FILE\n"
            "or choose another folder."
        )
    _start(work, folder, plan, encoder, resume)
    with _kept(work):
        resumed = _encode(work, documents, encoder, plan.shard, progress)
        counted = _counts(work)
        if (work / MANIFEST).exists():  # only the name was missing
            return _finish(work, folder, *counted, resumed)
        tokens = counted[2]
        if not tokens:
            files.remove(work)
            raise UsageError("an index needs at least one document with text")
        count = clusters(tokens, plan.centroids if codec.needs_centroids or plan.centroids else 0)
        if codec.needs_centroids and not count:
            raise UsageError(f"'{codec.name}' needs more than one token vector; use fp16")
        listed = _learn(work, codec, count, tokens, plan.seed)
        codebook = read_codebook(work / CODEBOOK, listed, codec)
        entries = tuple(_segment(work, n, codec, codebook) for n in _done(work))
        (work / TOMBSTONES).mkdir(exist_ok=True)
        write_manifest(work, Manifest(1, encoder.binding, codec.name, listed, entries))
        return _finish(work, folder, *counted, resumed)


@contextmanager
def _kept(work: Path) -> Iterator[None]:
    """Say how a build that was stopped goes on; where nothing was encoded, leave nothing."""
    try:
        yield
    except BaseException as error:
        if not work.is_dir():
            raise
        if not _done(work):
            files.remove(work)
            raise
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(
                f"{work} holds what was done so far; continue with the same command and --resume"
            ) from None
        if isinstance(error.__cause__, OSError):
            raise DataError(work, None, f"{error}\nContinue with --resume.") from error
        raise


def _start(work: Path, folder: Path, plan: Plan, encoder: Encoder, resume: bool) -> None:
    wanted = json.loads(json.dumps({**plan.record(), "binding": asdict(encoder.binding)}))
    if not (work / PLAN).exists():
        work.mkdir(parents=True, exist_ok=True)
        files.replace(work / PLAN, wanted)
        return
    if not resume:
        raise UsageError(
            f"{work} holds an unfinished build of '{folder}'.\n"
            f"Continue it with --resume, or start over after:  rm -r {work}"
        )
    before = json.loads((work / PLAN).read_text(encoding="utf-8"))
    changed = [
        f"{_OPTIONS.get(name, name)} was {before.get(name)!r} and is now {wanted[name]!r}"
        for name in plan.record()
        if before.get(name) != wanted[name]
    ]
    then = binding_from(before["binding"])
    if then.precision != encoder.binding.precision:
        changed.append(f"precision was {then.precision} and is now {encoder.binding.precision}")
    changed += then.differences(encoder.binding)
    if changed:
        raise UsageError(
            f"the build of '{folder}' was started with other settings and cannot be resumed:\n"
            + "\n".join(f"  - {line}" for line in changed)
            + f"\nUse the same settings as before, or start over after:  rm -r {work}"
        )


# --- encoding ------------------------------------------------------------------------------------


def _encode(
    work: Path, documents: Iterable[Document], encoder: Encoder, size: int, progress: bool
) -> int:
    """Encode every shard that is not done; how many were."""
    skipped = numbers = 0
    places: list[tuple[Path, list[bytes]]] = []  # of shards on their way, oldest first
    with bar("encoding documents", None, progress) as drawn:

        def undone() -> Iterator[list[Document]]:
            nonlocal skipped, numbers
            for numbers, shard in enumerate(shards(documents, size), 1):
                shard = with_languages(shard, encoder)
                place, lines = work / SHARDS / f"{numbers - 1:06d}", record_lines(shard)
                if place.is_dir():
                    _check_lines(work, place, lines)
                    skipped += 1
                    drawn.advance(len(shard))
                else:
                    places.append((place, lines))
                    yield shard

        for encoded in encode_all(undone(), encoder):
            place, lines = places.pop(0)
            with files.finished(place) as aside:
                _write_shard(aside, lines, encoded)
            drawn.advance(len(lines))
    if len(_done(work)) > numbers:
        raise UsageError(_other_documents(work, f"only {numbers} shards of documents are given"))
    return skipped


def _write_shard(folder: Path, lines: list[bytes], encoded: Encoded) -> None:
    files.write(folder / "documents.jsonl", b"".join(lines))
    files.write_array(folder / "vectors.npy", encoded.vectors.numpy())
    files.write_array(folder / "lengths.npy", encoded.lengths)
    files.write_json(
        folder / "modules.json", {t: asdict(m) if m else None for t, m in encoded.modules.items()}
    )


def _read_shard(folder: Path) -> tuple[list[bytes], Encoded]:
    lines = (folder / "documents.jsonl").read_bytes().splitlines(keepends=True)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    return lines, Encoded(
        torch.from_numpy(files.read_array(folder / "vectors.npy")),
        files.read_array(folder / "lengths.npy"),
        {tag: Module(**m) if m else None for tag, m in modules.items()},
    )


def _check_lines(work: Path, shard: Path, lines: list[bytes]) -> None:
    if (shard / "documents.jsonl").read_bytes() != b"".join(lines):
        raise UsageError(_other_documents(work, f"shard {shard.name} has others"))


def _other_documents(work: Path, how: str) -> str:
    return (
        f"{work} was started with other documents ({how}) and cannot be resumed.\n"
        f"Give the same documents as before, or start over after:  rm -r {work}"
    )


def _done(work: Path) -> list[str]:
    """The names of the encoded shards."""
    return sorted(p.name for p in (work / SHARDS).glob("[0-9]*"))


def _counts(work: Path) -> tuple[int, int, int]:
    """Documents, empty ones, and tokens of all shards."""
    lengths = [files.read_array(work / SHARDS / name / "lengths.npy") for name in _done(work)]
    together = np.concatenate([np.empty(0, np.int64), *lengths])
    return len(together), int((together == 0).sum()), int(together.sum())


# --- codebook and segments ------------------------------------------------------------------------


def _learn(
    work: Path, codec: Codec, centroids: int, tokens: int, seed: int
) -> dict[str, files.File]:
    """Learn the codebook, unless that was done; its files."""
    place = work / CODEBOOK
    if not place.is_dir():
        size = sample_size(tokens, centroids)
        arrays: dict[str, Tensor] = {}
        if centroids or codec.fit is not fit_centroids:
            arrays = codec.fit(_sample(work, tokens, size, seed), centroids, seed)
        with files.finished(place) as aside:
            write_codebook(arrays, aside)
    return {p.name: files.File(sha256(p), p.stat().st_size) for p in sorted(place.iterdir())}


def _sample(work: Path, tokens: int, size: int, seed: int) -> Tensor:
    """`size` token vectors, drawn from all alike, (size, d) fp32."""
    drawn = np.sort(np.random.default_rng(seed).choice(tokens, size, replace=False))
    parts, first = [], 0
    for vectors in _all_vectors(work):
        inside = drawn[(drawn >= first) & (drawn < first + len(vectors))] - first
        parts.append(torch.from_numpy(vectors[inside]).float())
        first += len(vectors)
    return torch.cat(parts)


def _all_vectors(work: Path) -> Iterator[Any]:
    for name in _done(work):
        yield files.read_array(work / SHARDS / name / "vectors.npy")


def _segment(work: Path, number: str, codec: Codec, codebook: Codebook) -> Entry:
    """Write a shard as a segment, unless that was done."""
    name = f"000001-{number}"
    place = work / SEGMENTS / name
    if not place.is_dir():
        lines, encoded = _read_shard(work / SHARDS / number)
        with files.finished(place) as aside:
            write_encoded(aside, name, lines, encoded, codec, codebook)
    return read_entry(place)


def _finish(
    work: Path, folder: Path, documents: int, empty: int, tokens: int, resumed: int
) -> Built:
    """Give the index its name, and only then remove the shards: until then they are counted."""
    os.rename(work, folder)
    files.sync(folder.parent)
    for name in (SHARDS, PLAN):
        files.remove(folder / name)
    return Built(documents, empty, tokens, resumed)
