"""A dense first stage: pooled base vectors and exact cosine, in memory or memory-mapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyrank.base import DEFAULT_BASE, Base, load_base
from polyrank.collections.records import Document, Query, Run, ScoredDocument
from polyrank.collections.texts import Documents, Queries, queries_of
from polyrank.errors import UsageError
from polyrank.index import dense_folder
from polyrank.index.searched import searched
from polyrank.index.vector_cache import cached_vectors
from polyrank.notes import Notebook, Notes
from polyrank.progress import bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from polyrank.encoders.plain import PlainEncoder

    Vectors = NDArray[np.float32]

SCORES_AT_ONCE = 1 << 25  # queries × documents of one matrix product: 128 MB in fp32


class Dense:
    """Exact nearest neighbours among the documents, by cosine of pooled base vectors.

    No module is active here: the base alone puts a query and its translation near each other, if it
    was trained to. Use it to find candidates for a reranker. Queries and documents get the prefixes
    that the base's card names, and are pooled as it says.

    `Dense(documents)` keeps the vectors in memory. `Dense.build(documents, folder)` writes them to
    a folder as they come, `Dense.load(folder)` maps that folder into memory without reading it.

    Args:
        documents: what is searched; their title and text are encoded, up to `max_length` tokens.
            Those without text are counted in `notes`, and never found.
        base: 'e5-small', a Hub id, a folder, or a loaded base.
        batch_tokens: tokens in one batch, padding included; None for what is fastest.
        max_length: tokens of a text that are read, its prefix included; None for as many as the
            base was trained to read, 256 where its card does not say.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        progress: show a bar on stderr when it is a terminal.
        precision: 'fp32' (default), 'bf16', 'fp16', 'int8' or 'auto'.
        keep: a folder where the vectors stay, so that the same documents are not encoded again.

    Raises:
        UsageError: when there are no documents with text, or two with the same id.
    """

    def __init__(
        self,
        documents: Documents,
        base: str | Base = DEFAULT_BASE,
        batch_tokens: int | None = None,
        max_length: int | None = None,
        device: str | None = None,
        progress: bool = True,
        precision: str | None = None,
        keep: Path | None = None,
    ) -> None:
        in_order, empty = searched(documents)
        loaded = load_base(base) if isinstance(base, str) else base
        manifest = dense_folder.manifest_of(in_order, loaded, max_length or loaded.card.reads)
        self._options(loaded, manifest, batch_tokens, device, progress, precision)
        self._notebook.update(empty)
        self.ids = [document.id for document in in_order]  # ascending: equal scores keep this order

        def encoded() -> tuple[Vectors, Notes]:
            return self._encode(self._prefixed(in_order), "documents"), Notes()

        on = [self._encoder.device.type]
        self.vectors, _, self.cached = cached_vectors(keep, self.manifest, self.ids, encoded, on)

    def _options(
        self,
        base: Base,
        manifest: dense_folder.DenseManifest,
        batch_tokens: int | None,
        device: str | None,
        progress: bool,
        precision: str | None,
    ) -> None:
        from polyrank.encoders.plain import PlainEncoder

        self.base = base
        self.batch_tokens, self.progress = batch_tokens, progress
        self._notebook = Notebook()
        self._encoder = PlainEncoder(base, device, precision, self._notebook)
        self.manifest = replace(manifest, precision=self._encoder.precision.name)
        self.max_length = manifest.max_length

    @classmethod
    def build(
        cls,
        documents: Documents,
        folder: str | Path,
        base: str | Base = DEFAULT_BASE,
        batch_tokens: int | None = None,
        max_length: int | None = None,
        device: str | None = None,
        progress: bool = True,
        resume: bool = False,
        precision: str | None = None,
    ) -> Dense:
        """Encode into a new folder, in steps, and open it.

        Args:
            folder: takes its name when the last vector is written.
            resume: go on where an interrupted call for the same documents and base stopped.

        Raises:
            UsageError: as the class, or when the folder is there, or an unfinished one of other
                documents or another base.
        """
        in_order, empty = searched(documents)
        loaded = load_base(base) if isinstance(base, str) else base
        manifest = dense_folder.manifest_of(in_order, loaded, max_length or loaded.card.reads)
        dense = cls.__new__(cls)
        dense._options(loaded, manifest, batch_tokens, device, progress, precision)
        dense._notebook.update(empty)
        ids = [document.id for document in in_order]

        def rows(start: int, end: int) -> Vectors:
            texts = dense._prefixed(in_order[start:end])
            return dense._encode(texts, f"documents {start + 1:,} to {end:,} of {len(ids):,}")

        dense_folder.build(folder, dense.manifest, ids, rows, resume)
        _, dense.ids, dense.vectors = dense_folder.load(folder)
        return dense

    @classmethod
    def load(
        cls,
        folder: str | Path,
        base: str | Base | None = None,
        batch_tokens: int | None = None,
        device: str | None = None,
        progress: bool = True,
        precision: str | None = None,
    ) -> Dense:
        """Open a folder that `build` or `save` wrote; the vectors stay on disk.

        Args:
            base: where to find the base, if not by the name that the index was built with.
            precision: of the queries; by default that of the vectors.

        Raises:
            DataError: a folder that is missing, unfinished or damaged.
            UsageError: a base that did not make these vectors.
        """
        manifest, ids, vectors = dense_folder.load(folder)
        name = manifest.base if base is None else base
        loaded = load_base(name) if isinstance(name, str) else name
        manifest.check_base(loaded, Path(folder))
        dense = cls.__new__(cls)
        precision = precision or manifest.precision
        dense._options(loaded, manifest, batch_tokens, device, progress, precision)
        dense.manifest = manifest  # of the vectors, whatever queries are encoded in
        dense.ids, dense.vectors = ids, vectors
        return dense

    def save(self, folder: str | Path) -> None:
        """Write the vectors to a new folder for `load`.

        Raises:
            UsageError: when the folder is there.
        """
        dense_folder.build(
            folder, self.manifest, self.ids, lambda start, end: self.vectors[start:end]
        )

    @property
    def notes(self) -> Notes:
        """What was chosen for precision 'auto', and how many documents have no text."""
        return self._notebook.notes

    def __repr__(self) -> str:
        return f"Dense({len(self.ids):,} documents, base '{self.base.name}')"

    def search(self, queries: Queries, depth: int = 100) -> Run:
        """The `depth` nearest documents of each query, best first; ties by document id.

        Returns:
            Query id -> scored documents; the score is the cosine, from -1 to 1.

        Raises:
            UsageError: when depth is below 1.
        """
        prefix = self.manifest.query_prefix

        def encoded(asked: Sequence[Query]) -> Vectors:
            return self._encode([prefix + query.text for query in asked], "queries")

        return nearest(queries, encoded, self.ids, self.vectors, depth)

    def _prefixed(self, documents: Sequence[Document]) -> list[str]:
        return [self.manifest.passage_prefix + document.full_text for document in documents]

    def _encode(self, texts: Sequence[str], what: str) -> Vectors:
        return encode(
            self.base,
            texts,
            self.batch_tokens,
            self.max_length,
            progress=f"encoding {what}" if self.progress else None,
            encoder=self._encoder,
        )


def nearest(
    queries: Queries,
    encode: Callable[[Sequence[Query]], Vectors],
    ids: Sequence[str],
    vectors: Vectors,
    depth: int,
) -> Run:
    """The `depth` documents of highest cosine to each query, best first.

    Args:
        encode: queries as unit vectors, (queries, dimension).
        ids, vectors: of the documents, (documents, dimension), in ascending order of the ids.

    Raises:
        UsageError: when depth is below 1.
    """
    if depth < 1:
        raise UsageError(f"depth is {depth}; give 1 or more")
    asked = queries_of(queries)
    if not asked:
        return {}
    rows = encode(asked)
    block = max(1, SCORES_AT_ONCE // len(ids))
    run: Run = {}
    for start in range(0, len(asked), block):
        scores = rows[start : start + block] @ vectors.T  # (queries, documents)
        for query, row in zip(asked[start : start + block], scores, strict=True):
            run[query.id] = [
                ScoredDocument(query.id, ids[i], float(row[i])) for i in best(row, depth)
            ]
    return run


def best(scores: Vectors, depth: int) -> list[int]:
    """The positions of the `depth` highest scores, best first, equal ones in their order.

    >>> best(np.array([0.5, 0.9, 0.5, 0.1], dtype=np.float32), 2)
    [1, 0]
    """
    if depth < len(scores):
        threshold = np.partition(scores, len(scores) - depth)[len(scores) - depth]
        candidates = np.flatnonzero(scores >= threshold)  # more than `depth` when some are equal
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")[:depth]
    return [int(i) for i in candidates[order]]


def encode(
    base: Base,
    texts: Sequence[str],
    batch_tokens: int | None = None,
    max_length: int = 256,
    device: str | None = None,
    progress: str | None = None,
    encoder: PlainEncoder | None = None,
) -> Vectors:
    """Last hidden states of texts, pooled as the base's card says, scaled to length 1.

    No prefix is added. Texts are sorted by length and batched under a token budget, which is halved
    when memory runs out, down to one text.

    Args:
        progress: what to write before the bar; None for no bar.
        encoder: of the base, where one is made already; then `device` is its own.

    Returns:
        (texts, hidden size), in the order of the texts.
    """
    from polyrank.encoders.batching import Batcher
    from polyrank.encoders.plain import PlainEncoder
    from polyrank.notes import Notebook

    pooling = encoder or PlainEncoder(base, device)
    tokens = _tokenise(base, texts, max_length)
    with bar(progress or "", len(texts), progress is not None) as drawn:

        def forward(rows: Sequence[int]) -> list[Vectors]:
            vectors = pooling([tokens[row] for row in rows]).numpy()
            drawn.advance(len(rows))
            return list(vectors)

        batcher = Batcher(batch_tokens or pooling.usual_tokens, Notebook())
        vectors: list[Vectors] = batcher.run(
            range(len(texts)), lambda row: len(tokens[row]), forward
        )
    nothing: Vectors = np.zeros((0, base.model.config.hidden_size), dtype=np.float32)
    return np.stack(vectors) if vectors else nothing


def _tokenise(base: Base, texts: Sequence[str], max_length: int) -> list[list[int]]:
    from polyrank.encoders.tokens import position_limit

    encoded = base.tokenizer(
        list(texts),
        truncation=True,
        max_length=min(max_length, position_limit(base.model.config)),
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids
