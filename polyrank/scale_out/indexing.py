"""Documents encoded, and an index searched, by the workers of a pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document, Query, Run
from polyrank.errors import PolyrankError
from polyrank.notes import Notebook, Notes
from polyrank.scale_out.pool import SHARD, RayPool

if TYPE_CHECKING:
    from torch import Tensor

    from polyrank.index.multivector import Encoder, Module, Pruning


class RayEncoder:
    """An encoder whose shards of documents are encoded by the workers of a pool.

    A shard is encoded whole by one worker, as a local build encodes it, so with the same number of
    threads on the same kind of processor the index has the bytes of a local build.

    Args:
        encoder: the same in this process: it says what the index is bound to, and encodes queries.
        pool: its tool is such an encoder.
    """

    def __init__(self, encoder: Encoder, pool: RayPool) -> None:
        self._encoder, self._pool = encoder, pool
        self.binding = encoder.binding
        self._notebook = Notebook()

    @property
    def notes(self) -> Notes:
        """What the workers assumed or cut so far."""
        return self._notebook.notes

    def languages(self, documents: Sequence[Document]) -> list[str | None]:
        return self._encoder.languages(documents)

    def module(self, language: str | None) -> Module | None:
        return self._encoder.module(language)

    def encode_documents(self, documents: Sequence[Document]) -> list[Tensor]:
        (found,) = self.encode_shards([documents])
        return found

    def encode_queries(
        self, queries: Sequence[Query], document_language: str | None = None
    ) -> list[Tensor]:
        return self._encoder.encode_queries(queries, document_language)

    def encode_shards(self, shards: Iterable[Sequence[Document]]) -> Iterator[list[Tensor]]:
        """Per shard, in order, the token vectors of its documents, rounded to fp16."""
        import torch

        for vectors, lengths, notes in self._pool.map(_encode, shards):
            self._notebook.update(notes)
            yield list(torch.from_numpy(vectors.copy()).split(lengths))


def _encode(encoder: Encoder, shard: Sequence[Document]) -> tuple[Any, list[int], Notes]:
    """In a worker: fp16 vectors of a shard end to end, (T, d), tokens of each, and notes."""
    import torch

    before = _noted(encoder)
    nothing = torch.empty(0, encoder.binding.dim)
    rows = encoder.encode_documents(shard) if shard else []
    together = torch.cat([nothing, *(row.cpu() for row in rows)]).half()
    return together.numpy(), [len(row) for row in rows], _noted(encoder) - before


class RayIndex:
    """An index that the workers of a pool search, each some of the queries.

    Queries are encoded and scored in other batches than by one process, so that scores may differ
    from its scores in the last digits.

    Args:
        pool: its tool is the index, opened in a worker; all nodes see its folder.
        shard: queries that go out at a time.
    """

    def __init__(self, pool: RayPool, shard: int = SHARD) -> None:
        self._pool, self._shard = pool, shard
        self._notebook = Notebook()

    @property
    def notes(self) -> Notes:
        """What the workers assumed or cut so far."""
        return self._notebook.notes

    def search(
        self,
        queries: Iterable[Query],
        depth: int = 100,
        languages: Sequence[str] | None = None,
        pruning: Pruning | None = None,
    ) -> Run:
        """As `MultiVectorIndex.search`.

        Raises:
            PolyrankError: as a worker raised it; also when workers opened different states.
        """
        todo = list(queries)
        shards = [todo[i : i + self._shard] for i in range(0, len(todo), self._shard)]
        found: Run = {}
        states = set()
        for run, generation, notes in self._pool.map(
            _search, [(shard, depth, languages, pruning) for shard in shards]
        ):
            states.add(generation)
            found.update(run)
            self._notebook.update(notes)
        if len(states) > 1:
            raise PolyrankError(
                f"the index was changed while it was searched: workers opened its generations "
                f"{', '.join(map(str, sorted(states)))}.\nSearch again when nobody writes."
            )
        return found


def _search(index: Any, asked: tuple[Any, ...]) -> tuple[Run, int, Notes]:
    """In a worker: the hits of some queries, of which state of the index, and notes."""
    before = _noted(index.encoder)
    return index.search(*asked), index.generation, _noted(index.encoder) - before


def _noted(encoder: Any) -> Notes:
    """What the model of an encoder has noted so far, if it takes notes."""
    return Notes(getattr(getattr(encoder, "model", None), "notes", {}))
