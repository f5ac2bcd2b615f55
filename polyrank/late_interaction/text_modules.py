"""Which language module a text of late interaction passes through, by the routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.composition.plan import Composition
from polyrank.encoders.xmod import XmodTokens
from polyrank.errors import LanguageError
from polyrank.languages import tags
from polyrank.late_interaction.marked_text import TextRow
from polyrank.late_interaction.token_encoder import Plans, TokenEncoder
from polyrank.notes import Notebook, Notes


class TextModules:
    """Finds the module of a language, and notes what it took to find one.

    Args:
        tokens: the encoder that has the modules.
        plans: that find them.
        routing: 'split', 'document', 'query' or 'none', as of `LateInteraction`.
        notebook: gets a note of what it took.
    """

    def __init__(
        self, tokens: TokenEncoder, plans: Plans, routing: str, notebook: Notebook
    ) -> None:
        self.tokens, self.plans, self.routing, self._notebook = tokens, plans, routing, notebook
        self._plans: dict[tuple[str | None, str], Composition] = {}

    def put_under(
        self, rows: Sequence[TextRow], acting: Sequence[str | None], side: str
    ) -> list[TextRow]:
        """Rows of a side with the modules of these languages."""
        return [
            replace(row, module=self.number(language, side))
            for language, row in zip(acting, rows, strict=True)
        ]

    def of_other_side(self, language: str | None, side: str) -> str | None:
        """The language whose module the texts of a side take from the other side; None for none.

        Args:
            language: of the other side, 'und' for an unknown one.

        Raises:
            LanguageError: the routing asks for it, and it is not given.
        """
        if self.routing == "none":
            return None
        if language is None:
            what = {"query": "queries", "document": "documents"}[side]
            raise LanguageError(
                f"routing '{self.routing}' encodes {what} through the module of the "
                f"{self.routing}'s language.\nGive {self.routing}_language, or use routing "
                "'split' (each text its own language)."
            )
        return None if language == tags.UNKNOWN else tags.normalise(language)

    def name(self, language: str | None, side: str) -> str | None:
        """The module of a language; None for none.

        Raises:
            LanguageError: a language that has no module, under fallback 'error'.
        """
        return _module_of(self._plan(language, side))

    def number(self, language: str | None, side: str) -> int:
        """The module of a language, as the encoder counts them; what it took is noted."""
        self._notebook.update(self.assumed(language, side))
        return self.tokens.module(_module_of(self._plan(language, side)))

    def assumed(self, language: str | None, side: str) -> Notes:
        """What it takes to find the module of a language, but for what compositions are made for.

        Raises:
            LanguageError: a language that has no module, under fallback 'error'.
        """
        plan = self._plan(language, side)
        return Notes(dict.fromkeys(plan.assumed if plan else (), 1))

    def assumed_of(self, pairs: Sequence[tuple[Query, Document]]) -> Notes:
        """The same of the languages that the texts of pairs name; none is identified."""
        texts = {text for pair in pairs for text in pair}
        known = {text: tags.normalise(text.language) for text in texts if text.language}
        asked, held = self.acting(pairs, known)
        found = [("query", language) for _, language in dict.fromkeys(asked)]
        found += [("document", language) for _, language in dict.fromkeys(held)]
        notebook = Notebook()
        for side, language in found:
            notebook.update(self.assumed(language, side))
        return notebook.notes

    def acting(
        self, pairs: Sequence[tuple[Query, Document]], known: Mapping[Any, str | None]
    ) -> tuple[list[tuple[Query, str | None]], list[tuple[Document, str | None]]]:
        """Queries and documents of pairs, each with the language whose module it passes through.

        Args:
            known: the languages of those that the routing asks for.
        """

        def language(text: Query | Document, query: Query, document: Document) -> str | None:
            return known.get({"query": query, "document": document}.get(self.routing, text))

        asked = [(query, language(query, query, document)) for query, document in pairs]
        held = [(document, language(document, query, document)) for query, document in pairs]
        return asked, held

    def _plan(self, language: str | None, side: str) -> Composition | None:
        if self.routing == "none" or language is None and not isinstance(self.tokens, XmodTokens):
            return None  # a text that tells no language: no module, whatever the fallback
        if (language, side) not in self._plans:
            query, document = (language, None) if side == "query" else (None, language)
            self._plans[language, side] = self.plans.compose(query, document, side)
        return self._plans[language, side]


def _module_of(plan: Composition | None) -> str | None:
    return None if plan is None else plan.query_module or plan.document_module
