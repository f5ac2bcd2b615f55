"""The index as users meet it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.base import device_of
from polyrank.collections.records import Document, Query, Run, ScoredDocument
from polyrank.collections.texts import queries_of
from polyrank.errors import UsageError
from polyrank.index.multivector import building, changes
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.building import Plan
from polyrank.index.multivector.changes import Change
from polyrank.index.multivector.encoder import Encoder, ModelEncoder
from polyrank.index.multivector.manifest import leftovers, read_manifest
from polyrank.index.multivector.search import Hits, Pruning, exact, pruned
from polyrank.index.multivector.segment import normalised
from polyrank.index.multivector.snapshot import open_snapshot
from polyrank.modules.kinds import KINDS

if TYPE_CHECKING:
    from torch import Tensor

    from polyrank.late_interaction.model import LateInteraction


class MultiVectorIndex:
    """Token vectors of documents on disk, searched by MaxSim; languages may be mixed.

    It reads the state that was there when it was opened, also while another process writes;
    `reload` reads the present one. Its own changes are seen at once.

    Args:
        folder: of the index.
        model: a late-interaction model or an `Encoder`; by default the one that the index was
            built with is loaded when it is needed. Another one is refused at its first use.
        device: where documents are scored; by default the CPU.
        options: of `LateInteraction`, such as `base`, `ranking` or `zoo`, where the model is not
            where the index says, and its `precision`.

    Raises:
        UsageError: no index there.
        DataError: a damaged one.
    """

    def __init__(
        self,
        folder: str | Path,
        model: LateInteraction | Encoder | None = None,
        device: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self._model, self._options = Path(folder), model, options or {}
        self.device = device_of(device or "cpu")
        self.snapshot = open_snapshot(self.folder)

    @classmethod
    def build(
        cls,
        folder: str | Path,
        documents: Iterable[Document],
        model: LateInteraction | Encoder,
        codec: str = "fp16",
        centroids: int | None = None,
        resume: bool = False,
        progress: bool = True,
        device: str | None = None,
    ) -> MultiVectorIndex:
        """Encode documents into a new index and open it; see `building.build`.

        Args:
            codec: 'fp16', 'int8', or 'residual-1', '-2', '-4', '-8' (bits a dimension).
            centroids: how many; None for ColBERTv2's rule with a residual codec, else none.
            resume: go on with a build that was stopped.
        """
        plan = Plan(codec, centroids)
        building.build(folder, documents, as_encoder(model), plan, resume, progress)
        return cls(folder, model, device)

    @property
    def generation(self) -> int:
        """Of the state that is read: 1 after the build, one more with every change."""
        return self.snapshot.manifest.generation

    def __len__(self) -> int:
        return self.snapshot.manifest.live

    def reload(self) -> None:
        """Read the state that is there now."""
        self.snapshot = open_snapshot(self.folder)

    @cached_property
    def encoder(self) -> Encoder:
        """The model, once it was found to be that of the index.

        Raises:
            CompositionError: it is another.
        """
        encoder = as_encoder(self._load() if self._model is None else self._model)
        changes.check_encoder(self.snapshot, encoder)
        return encoder

    def _load(self) -> LateInteraction:
        from polyrank.late_interaction.model import LateInteraction

        binding = self.snapshot.manifest.binding
        # An XMOD has the usual kind in its binding, and refuses to be given any.
        usual = KINDS[binding.kind].beneath
        options = {
            "base": binding.base,
            "ranking": binding.ranking,
            "kind": binding.kind,
            "routing": binding.routing,
            "fallback": binding.fallback,
            "language_kind": None if binding.language_kind == usual else binding.language_kind,
            "query_length": binding.rules.get("query_length"),
            "document_length": binding.rules.get("document_length"),
        }
        return LateInteraction(**{**options, **self._options})

    # ---------------------------------------------------------------------------------- search

    def search(
        self,
        queries: Iterable[Query],
        depth: int = 100,
        languages: Sequence[str] | None = None,
        pruning: Pruning | None = None,
    ) -> Run:
        """The best documents of each query, best first; ties by document id.

        Under routing 'document' the queries are encoded once for each language of the documents,
        and what is found in each is merged by score.

        Args:
            depth: documents of each query; fewer only when there are fewer.
            languages: of documents that may be found; None for all, 'und' for unknown ones.
            pruning: None scores every document.

        Returns:
            Query id → scored documents; the score is MaxSim, not normalised.

        Raises:
            UsageError: depth below 1, or pruning without centroids.
            LanguageError: an unknown language, or one that the model has no module for.
            CompositionError: the model is not that of the index.
        """
        _check_depth(depth)
        asked, found = queries_of(queries), []
        for tags, vectors in self.encoded(asked, languages):
            found.append(self.search_vectors(vectors, depth, tags, pruning))
        return {
            query.id: [
                ScoredDocument(query.id, identity, score)
                for identity, score in _best([hits[place] for hits in found], depth)
            ]
            for place, query in enumerate(asked)
        }

    def encoded(
        self, queries: Sequence[Query], languages: Sequence[str] | None = None
    ) -> Iterator[tuple[Sequence[str] | None, list[Tensor]]]:
        """The vectors of queries, with the languages of the documents that they are for.

        Once, for all documents; but under routing 'document' once for each of their languages.
        """
        if not queries:
            return
        if self.snapshot.manifest.binding.routing != "document":
            yield languages, self.encoder.encode_queries(queries)
            return
        there = self.snapshot.counts
        tags = normalised(languages)
        for tag in sorted(there) if tags is None else dict.fromkeys(tags):
            if tag in there:
                yield [tag], self.encoder.encode_queries(queries, tag)

    def search_vectors(
        self,
        queries: Sequence[Tensor],
        depth: int = 100,
        languages: Sequence[str] | None = None,
        pruning: Pruning | None = None,
    ) -> list[list[tuple[str, float]]]:
        """As `search`, of queries that are encoded: (n, d) each → ids and scores, best first."""
        _check_depth(depth)
        self._check_vectors(queries)
        tags = normalised(languages)
        vectors = [query.detach().cpu() for query in queries]
        found: list[Hits]
        if pruning is None:
            found = exact(self.snapshot, vectors, depth, tags, self.device)
        else:
            found = pruned(self.snapshot, vectors, depth, pruning, tags, self.device)
        ids = self.snapshot.ids
        return [[(ids[ordinal], score) for ordinal, score in hits] for hits in found]

    def _check_vectors(self, queries: Sequence[Tensor]) -> None:
        dim = self.snapshot.manifest.binding.dim
        for query in queries:
            if query.dim() != 2 or query.shape[1] != dim or len(query) == 0:
                raise UsageError(
                    f"a query's vectors are {tuple(query.shape)}; the index takes (n, {dim}), n "
                    "at least 1, from the model that it was built with"
                )

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Documents by id, with their texts; deleted and unknown ones are left out."""
        return self.snapshot.documents(ids)

    # --------------------------------------------------------------------------------- changes

    def add(
        self, documents: Iterable[Document], duplicates: str = "error", progress: bool = True
    ) -> Change:
        """Add documents, all or none; see `changes.add`."""
        encoder = self.encoder if self._model is None else as_encoder(self._model)
        return self._after(
            changes.add(self.folder, documents, encoder, duplicates, progress=progress)
        )

    def delete(
        self, ids: Sequence[str] = (), languages: Sequence[str] = (), missing: str = "error"
    ) -> Change:
        """Delete documents by id and by language; see `changes.delete`."""
        tags = normalised(languages) or ()
        return self._after(changes.delete(self.folder, ids, tags, missing))

    def compact(self, progress: bool = True) -> Change:
        """Free the space of deleted documents and merge segments; no result changes."""
        return self._after(changes.compact(self.folder, progress=progress))

    def _after(self, change: Change) -> Change:
        self.reload()
        self.__dict__.pop("encoder", None)  # what it must match may have changed
        return change

    # ----------------------------------------------------------------------------- description

    def info(self) -> Info:
        """What is in the index, and in which state it is."""
        manifest = self.snapshot.manifest
        return Info(
            folder=str(self.folder),
            generation=manifest.generation,
            documents=manifest.live,
            deleted=len(self.snapshot.ids) - manifest.live,
            languages=self.snapshot.counts,
            segments=len(manifest.segments),
            tokens=sum(entry.tokens for entry in manifest.segments),
            bytes=sum(file.bytes for file in manifest.paths().values()),
            codec=manifest.codec,
            centroids=self.snapshot.codebook.count,
            dim=manifest.binding.dim,
            base=manifest.binding.base,
            ranking=manifest.binding.ranking,
            kind=manifest.binding.kind,
            language_kind=manifest.binding.language_kind,
            routing=manifest.binding.routing,
            modules={tag: str(m) if m else None for tag, m in self.snapshot.modules.items()},
            leftovers=[
                str(path.relative_to(self.folder)) for path in leftovers(self.folder, manifest)
            ],
        )


@dataclass(frozen=True)
class Info:
    """An index in figures.

    Attributes:
        generation: which state it is in.
        documents, deleted: living ones, and those whose space `compact` would free.
        languages: living documents of each.
        tokens, bytes: of all segments, deleted documents included.
        kind, language_kind: of the ranking module, and of the language modules.
        routing: which of these a text passes through, as in `Binding`.
        modules: per language, the module that its documents were encoded by.
        leftovers: what a killed process left; the next change removes it.
    """

    folder: str
    generation: int
    documents: int
    deleted: int
    languages: dict[str, int]
    segments: int
    tokens: int
    bytes: int
    codec: str
    centroids: int
    dim: int
    base: str
    ranking: str
    kind: str
    language_kind: str
    routing: str
    modules: dict[str, str | None]
    leftovers: list[str]


@dataclass(frozen=True)
class Verification:
    """What `verify` found: files and bytes that were read, and what is wrong."""

    files: int
    bytes: int
    problems: list[str]


def verify(folder: str | Path) -> Verification:
    """Read every file of an index and check its sha256.

    Raises:
        UsageError: no index there.
        DataError: a manifest that cannot be read.
    """
    folder = Path(folder)
    paths = read_manifest(folder).paths()
    checked = (files.check(folder / name, file) for name, file in sorted(paths.items()))
    problems = [problem for problem in checked if problem]
    return Verification(len(paths), sum(file.bytes for file in paths.values()), problems)


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise UsageError(f"depth is {depth}; give 1 or more")


def _best(parts: Sequence[list[tuple[str, float]]], depth: int) -> list[tuple[str, float]]:
    """The best of several rankings of other documents each; ties by id."""
    if len(parts) == 1:
        return parts[0]
    together = [hit for part in parts for hit in part]
    return sorted(together, key=lambda hit: (-hit[1], hit[0]))[:depth]


def as_encoder(model: LateInteraction | Encoder) -> Encoder:
    """A late-interaction model as an encoder; an encoder as it is."""
    return model if hasattr(model, "binding") else ModelEncoder(model)  # type: ignore[return-value, arg-type]
