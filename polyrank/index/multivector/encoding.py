"""Documents in, segments out: the steps that building and adding share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from polyrank.collections.records import Document
from polyrank.collections.texts import each_document
from polyrank.collections.without_text import has_text
from polyrank.errors import PolyrankError, UsageError, first_line
from polyrank.index.multivector.binding import Module
from polyrank.index.multivector.codebook import encode_tokens
from polyrank.index.multivector.encoder import Encoder
from polyrank.index.multivector.manifest import Entry
from polyrank.index.multivector.segment import Numbers, write_segment
from polyrank.kernels.codecs.codec import Codebook, Codec
from polyrank.languages.tags import UNKNOWN

SHARD = 2048  # documents encoded between two points from which a build can go on


@dataclass(frozen=True, eq=False)
class Encoded:
    """Documents and their token vectors, rounded to fp16: (T, d), end to end."""

    vectors: Tensor
    lengths: Numbers
    modules: dict[str, Module | None]

    @property
    def empty(self) -> int:
        """Documents without any text: they are kept, have no vector, and are never found."""
        return int((self.lengths == 0).sum())


def shards(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Documents in runs of `size`.

    Raises:
        UsageError: an id that comes twice.
    """
    seen, left = set[str](), each_document(documents)
    while shard := list(islice(left, size)):
        for document in shard:
            if document.id in seen:
                raise UsageError(f"two documents have the id '{document.id}'; ids must be unique")
            seen.add(document.id)
        yield shard


def with_languages(documents: Sequence[Document], encoder: Encoder) -> list[Document]:
    """Documents with their normalised or identified languages; empty ones keep what they have."""
    texts = _with_text(documents)
    found = dict(zip((d.id for d in texts), encoder.languages(texts), strict=True))
    return [replace(d, language=found.get(d.id, d.language)) for d in documents]


def encode(documents: Sequence[Document], encoder: Encoder) -> Encoded:
    """Token vectors of documents that know their languages."""
    (found,) = encode_all([documents], encoder)
    return found


def encode_all(shards: Iterable[Sequence[Document]], encoder: Encoder) -> Iterator[Encoded]:
    """Shards of documents that know their languages, encoded, in order.

    An encoder with `encode_shards` takes shards ahead and works on several at a time.
    """
    waiting: list[Sequence[Document]] = []  # taken, and not yet encoded; oldest first

    def texts() -> Iterator[list[Document]]:
        for shard in shards:
            waiting.append(shard)
            yield _with_text(shard)

    many = getattr(encoder, "encode_shards", None)
    made = many(texts()) if many else map(encoder.encode_documents, texts())
    for vectors in made:
        yield _encoded(waiting.pop(0), vectors, encoder)


def _with_text(documents: Sequence[Document]) -> list[Document]:
    return [document for document in documents if has_text(document)]


def _encoded(documents: Sequence[Document], found: Sequence[Tensor], encoder: Encoder) -> Encoded:
    texts, dim = _with_text(documents), encoder.binding.dim
    made = dict(zip((d.id for d in texts), found, strict=True))
    for identity, vectors in made.items():
        if vectors.dim() != 2 or vectors.shape[1] != dim or not bool(vectors.isfinite().all()):
            raise UsageError(
                f"the vectors of document '{identity}' are {tuple(vectors.shape)} or not finite; "
                f"the index stores finite vectors of {dim} dimensions"
            )
    nothing = torch.empty(0, dim)
    rows = [made.get(document.id, nothing).cpu().half() for document in documents]
    tags = dict.fromkeys(document.language for document in texts)
    return Encoded(
        torch.cat([nothing.half(), *rows]),
        np.array([len(row) for row in rows], dtype=np.int64),
        {tag or UNKNOWN: encoder.module(tag) for tag in tags},
    )


def modules_now(languages: Iterable[str], encoder: Encoder) -> dict[str, Module | None | str]:
    """Per language the encoder's module, or in its place the reason why it cannot be had."""
    modules: dict[str, Module | None | str] = {}
    for language in languages:
        try:
            modules[language] = encoder.module(None if language == UNKNOWN else language)
        except PolyrankError as error:
            modules[language] = f"unavailable: {first_line(error)}"
    return modules


def write_encoded(
    folder: Path,
    name: str,
    lines: Sequence[bytes],
    encoded: Encoded,
    codec: Codec,
    codebook: Codebook,
) -> Entry:
    """Write encoded documents as a segment into an empty folder."""
    return write_segment(
        folder,
        name,
        lines,
        encode_tokens(encoded.vectors, codec, codebook),
        encoded.lengths,
        encoded.modules,
        codebook.count,
    )
