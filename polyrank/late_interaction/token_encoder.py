"""What late interaction asks of an encoder and of the plans for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition, compose
from polyrank.encoders.masked import Masks
from polyrank.modules.kinds import KINDS


class TokenEncoder(Protocol):
    """Runs texts, each through a language module; `ModularEncoder` and `XmodTokens` do."""

    def module(self, name: str | None) -> int:
        """The number by which `masks` and `__call__` know a language module; None is none."""
        ...

    def masks(self, module: int) -> Masks:
        """What must lie on the weights while rows of this module are run."""
        ...

    def __call__(
        self,
        ids: Tensor,
        attended: Tensor,
        modules: Tensor,
        words: Tensor,
        lengths: Sequence[int] | None = None,
    ) -> Tensor:
        """Hidden states: ids (B, L), attended (B, L), modules (B,), words (B, L, H) → (B, L, H).

        Args:
            lengths: tokens of each text, padding left out; then it may be left out of the work.
        """
        ...


class Plans(Protocol):
    """Finds the modules of languages; `TextPlans` and `XmodTokens` do."""

    def compose(self, query: str | None, document: str | None, routing: str) -> Composition:
        """What is active where for texts of these languages."""
        ...


@dataclass(frozen=True, eq=False)
class TextPlans:
    """Compositions for texts that are encoded one by one.

    Attributes:
        base: whose fingerprint the language modules must have.
        ranking: name of the ranking module; None for none, or for a whole model, which is the
            encoder, so it does not lie over the others.
        ranking_kind: of the ranking module; None where `ranking` is.
        kind: of the language modules.
        fallback: for a language without module, as in `compose`.
        zoo: a folder to search first.
    """

    base: Base
    ranking: str | None
    ranking_kind: str | None
    kind: str
    fallback: str
    zoo: str | Path | None

    def compose(self, query: str | None, document: str | None, routing: str) -> Composition:
        if routing == "split" and routing in KINDS[self.kind].refused:
            return self._apart(query, document)
        return compose(
            self.base,
            self.ranking,
            query,
            document,
            routing=routing,
            kind=self.kind,
            fallback=self.fallback,
            zoo=self.zoo,
            ranking_kind=self.ranking_kind,
        )

    def _apart(self, query: str | None, document: str | None) -> Composition:
        """Masks in 'split', which one sequence of two languages could not have: here every text is
        a sequence of its own."""
        asked = self.compose(query, None, "query")
        held = self.compose(None, document, "document")
        return replace(
            asked,
            document_language=held.document_language,
            document_module=held.document_module,
            routing="split",
            notes=tuple(dict.fromkeys(asked.notes + held.notes)),
        )
