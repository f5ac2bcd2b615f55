"""A dense first stage under language modules: every text pooled under its own language's module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyrank.base import DEFAULT_BASE, Base
from polyrank.collections.records import Document, Query, Run
from polyrank.collections.texts import Queries
from polyrank.index import dense_folder
from polyrank.index.dense import nearest
from polyrank.index.searched import searched
from polyrank.index.vector_cache import cached_vectors
from polyrank.modules.kinds import DEFAULT_KIND, NO_RANKING
from polyrank.notes import Notes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class ModularDense:
    """Exact nearest neighbours by cosine, each text encoded under the module of its own language.

    `Dense` is the same without modules. A language module that was aligned to the base's English
    moves the texts of its language to where their translations are, so that questions in a
    language the base never saw find English passages.

    Args:
        documents: what is searched; their title and text are encoded. Those without text are never
            found.
        base: one whose card says that its vectors are for retrieval; any with `ranking`.
        language_kind: of the language modules, 'adapter' or 'mask'.
        ranking: the name or folder of a dot-product module, whose vectors are then compared by
            their dot product; 'none' for the base's own, compared by cosine.
        ranking_kind: of that module.
        routing: 'split', or 'none' for no language modules.
        fallback: for a language without module: 'none' encodes it with the base alone, 'related'
            takes the nearest language's, 'error' stops.
        device, zoo: as of `LateInteraction`.
        progress: show a bar on stderr when it is a terminal.
        max_length: tokens of a document that are read; by default as many as the base's card says.
        precision: 'fp32' (default), 'bf16', 'fp16', 'int8' or 'auto'.
        keep: a folder where the vectors stay, so that the same documents are not encoded again.

    Attributes:
        notes: what was assumed of languages, cut, and has no text, counted.

    Raises:
        UsageError: no documents with text, two with the same id, or a base not for retrieval.
        LanguageError: a language without module, under fallback 'error'.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        base: str | Base = DEFAULT_BASE,
        language_kind: str = "adapter",
        fallback: str = "none",
        device: str | None = None,
        zoo: str | Path | None = None,
        progress: bool = True,
        max_length: int | None = None,
        precision: str | None = None,
        keep: Path | None = None,
        ranking: str = NO_RANKING,
        ranking_kind: str | None = None,
        routing: str = "split",
    ) -> None:
        from polyrank.late_interaction.pooled_vectors import DotProduct, PooledVectors

        in_order, self._notes = searched(documents)
        encoding = PooledVectors if ranking == NO_RANKING else DotProduct
        self.encoder = encoding(
            base,
            ranking,
            kind=ranking_kind or DEFAULT_KIND,
            routing=routing,
            fallback=fallback,
            device=device,
            zoo=zoo,
            language_kind=language_kind,
            document_length=max_length,
            precision=precision,
        )
        self.ids = [document.id for document in in_order]

        def encoded() -> tuple[Vectors, Notes]:
            before = self.encoder.notes
            vectors = _stacked(self.encoder.encode_documents(in_order, progress=progress))
            return vectors, self.encoder.notes - before

        self.vectors, found, self.cached = cached_vectors(
            keep, self._manifest(in_order), self.ids, encoded, self._depends(in_order)
        )
        if self.cached is not None and not self.cached.encoded:
            self._notes += found  # as they were noted when the vectors were made

    def _manifest(self, documents: Sequence[Document]) -> dense_folder.DenseManifest:
        found = dense_folder.manifest_of(
            documents, self.encoder.base, self.encoder.rules.document_length
        )
        return replace(found, precision=self.encoder.precision.name)

    def _depends(self, documents: Sequence[Document]) -> list[Any]:
        """Beyond the base the vectors depend on modules, and on the languages that choose them."""
        languages = [document.language for document in documents]
        encoder = self.encoder
        return [encoder.device.type, dict(encoder.identity()), encoder.fallback, languages]

    @property
    def notes(self) -> Notes:
        """What was assumed of languages, cut, and has no text, counted."""
        return self._notes + self.encoder.notes

    def __repr__(self) -> str:
        base, kind = self.encoder.base.name, self.encoder.language_kind
        return f"ModularDense({len(self.ids):,} documents, base '{base}', language modules: {kind})"

    def search(self, queries: Queries, depth: int = 100) -> Run:
        """The `depth` nearest documents of each query, best first; ties by document id.

        Returns:
            Query id -> scored documents; the score is the cosine, from -1 to 1, or the dot product.

        Raises:
            UsageError: when depth is below 1.
        """

        def encoded(asked: Sequence[Query]) -> Vectors:
            return _stacked(self.encoder.encode_queries(asked))

        return nearest(queries, encoded, self.ids, self.vectors, depth)


def _stacked(rows: Iterable[object]) -> Vectors:
    import torch

    together: Vectors = torch.cat(list(rows)).cpu().numpy()  # type: ignore[arg-type]
    return together
