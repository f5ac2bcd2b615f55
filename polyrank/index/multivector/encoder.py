"""What an index asks of a late-interaction model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from polyrank.collections.records import Document, Query
from polyrank.composition.routing import check_late_routing
from polyrank.index.multivector.binding import Binding, Module
from polyrank.modules.card import read_card
from polyrank.zoo.find import find

if TYPE_CHECKING:
    from torch import Tensor

    from polyrank.late_interaction.model import LateInteraction


class Encoder(Protocol):
    """Makes token vectors, and says what they depend on."""

    @property
    def binding(self) -> Binding:
        """What an index made by this encoder is bound to."""
        ...

    def languages(self, documents: Sequence[Document]) -> list[str | None]:
        """Each document's language: its own, or the one identified."""
        ...

    def module(self, language: str | None) -> Module | None:
        """The language module that a document of this language passes through.

        Raises:
            PolyrankError: it cannot be had.
        """
        ...

    def encode_documents(self, documents: Sequence[Document]) -> list[Tensor]:
        """Per document (n, d) unit vectors, fp32."""
        ...

    def encode_queries(
        self, queries: Sequence[Query], document_language: str | None = None
    ) -> list[Tensor]:
        """Per query (n, d) unit vectors, fp32.

        Args:
            document_language: of the documents they are for, 'und' for an unknown one; given under
                routing 'document' alone.
        """
        ...


class ModelEncoder:
    """A `LateInteraction` as an encoder.

    Raises:
        CompositionError: its routing is 'query', which no index can have.
    """

    def __init__(self, model: LateInteraction) -> None:
        check_late_routing(model.kind, model.routing, indexed=True)
        self.model = model

    @cached_property
    def binding(self) -> Binding:
        model = self.model
        fingerprint = model.base.fingerprint
        return Binding(
            base=model.base.name,
            base_weights=fingerprint.weights,
            base_vocabulary=fingerprint.vocabulary,
            ranking=model.ranking,
            kind=model.kind,
            projection=self._projection(),
            routing=model.routing,
            fallback=model.fallback,
            language_kind=model.language_kind,
            ranking_files=model.ranking_files(),
            rules=model.rules.record(),
            precision=model.precision.name,
        )

    def languages(self, documents: Sequence[Document]) -> list[str | None]:
        return self.model.identified(documents)

    def module(self, language: str | None) -> Module | None:
        name = self.model.language_module(language)
        if name is None:
            return None
        if self.model.base.model.config.model_type == "xmod":
            return Module(name, None)  # inside the encoder, whose weights are bound already
        folder = find(
            self.model.base.name, "language", self.model.language_kind, name, self.model.zoo
        )
        listed = read_card(folder, verify=False).files
        together = "".join(f"{file} {listed[file]}\n" for file in sorted(listed))
        return Module(name, hashlib.sha256(together.encode()).hexdigest())

    def encode_documents(self, documents: Sequence[Document]) -> list[Tensor]:
        return self.model.encode_documents(documents)

    def encode_queries(
        self, queries: Sequence[Query], document_language: str | None = None
    ) -> list[Tensor]:
        return self.model.encode_queries(queries, document_language=document_language)

    def _projection(self) -> str:
        projection, digest = self.model.projection, hashlib.sha256()
        for tensor in (projection.weight, projection.bias, projection.markers):
            if tensor is not None:
                digest.update(f"{tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
