"""A cross-encoder over one composition that was planned before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.base import Base, load_base
from polyrank.collections.records import Document, Query
from polyrank.composition.plan import Composition
from polyrank.composition.saved import SavedComposition, read_composition
from polyrank.errors import CompositionError
from polyrank.languages import tags
from polyrank.rerankers.modular import ModularReranker


class ComposedReranker(ModularReranker):
    """Scores pairs with the modules of one saved composition, and with no others.

    A text without a language is taken to be in the composition's; nothing is identified. A text in
    another language than the one a module was planned for is refused.

    Args:
        composition: a file that `polyrank compose --output` wrote, or what was read from it.
        base: where to find the base, if not as the composition says; or the loaded base.
        zoo: a folder to search for modules before `$POLYRANK_ZOO` and the bundled zoo.
        options: `max_length`, `batch_tokens`, `device` and `precision` of `ModularReranker`.

    Raises:
        CompositionError: a base or a module whose weights are others than those that were planned,
            or a composition without a ranking module.
        ModuleError: a module that is missing or broken.
    """

    def __init__(
        self,
        composition: str | Path | SavedComposition,
        base: str | Base | None = None,
        zoo: str | Path | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(composition, SavedComposition):
            composition = read_composition(composition)
        self.saved, plan = composition, composition.composition
        if plan.ranking is None:
            raise CompositionError(
                "this composition has no ranking module, so it cannot score.\n"
                f"Compose one with:  {composition.command()} --ranking squad"
            )
        name = composition.base if base is None else base
        loaded = load_base(name) if isinstance(name, str) else name
        composition.check(loaded, zoo)
        if plan.ranking_kind != plan.kind:
            options["ranking_kind"] = plan.ranking_kind
        super().__init__(loaded, plan.ranking, plan.kind, plan.routing, zoo=zoo, **options)

    def composition(
        self, query_language: str | None = None, document_language: str | None = None
    ) -> Composition:
        """The composition, for the pair of languages that it was made for.

        Raises:
            CompositionError: another language on a side that has a language module.
        """
        plan = self.saved.composition
        sides = (
            ("queries", query_language, plan.query_language, plan.query_module),
            ("documents", document_language, plan.document_language, plan.document_module),
        )
        for side, asked, planned, module in sides:
            if module and asked and planned and tags.normalise(asked) != planned:
                raise CompositionError(
                    f"this composition is for {side} in '{planned}', but one is in '{asked}'.\n"
                    "Compose one for that language, or leave out --composition: then each text "
                    "gets the module of its own language."
                )
        return plan

    def check_languages(self, queries: Iterable[Query], documents: Iterable[Document]) -> None:
        """Refuse, before anything is searched or scored, languages other than the composition's.

        Raises:
            CompositionError: another language on a side that has a language module.
        """
        for language in dict.fromkeys(query.language for query in queries):
            self.composition(query_language=language)
        for language in dict.fromkeys(document.language for document in documents):
            self.composition(document_language=language)

    def seek_module(self, language: str) -> None:
        """Nothing to seek: what acts was planned before."""

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """As `ModularReranker.score`; texts without a language are in the composition's."""
        plan = self.saved.composition
        return super().score(
            [
                (
                    query if query.language else replace(query, language=plan.query_language),
                    document
                    if document.language
                    else replace(document, language=plan.document_language),
                )
                for query, document in pairs
            ]
        )
