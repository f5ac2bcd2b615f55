"""polyrank as a Haystack ranker.

from polyrank.neighbours.haystack import PolyrankRanker

pipeline.add_component("ranker", PolyrankRanker(model="e5-small", top_k=5))
pipeline.connect("retriever.documents", "ranker.documents")

A saved pipeline is read with `Pipeline.loads(text, allowed_modules=["polyrank.*"])`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polyrank.collections.records import Document as Record
from polyrank.errors import PolyrankError, UsageError
from polyrank.neighbours.ranking import language_in, loaded, ranked_places

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.haystack needs Haystack ({error}); install it with:  pip install "
        "'polyrank[haystack]'"
    ) from error


@component
class PolyrankRanker:
    """Orders documents by raw scores, best first.

    Args:
        model: what `load_reranker` takes; loaded at the first run, or by `warm_up`.
        top_k: documents that are kept; None keeps all.
        query_language: of all queries; None identifies it.
        document_language: of documents whose `meta` names none; None identifies it.
        language_key: where `meta` names a document's language.
    """

    def __init__(
        self,
        model: Any = "e5-small",
        top_k: int | None = 10,
        query_language: str | None = None,
        document_language: str | None = None,
        language_key: str = "language",
    ) -> None:
        if top_k is not None and top_k < 1:
            raise UsageError(f"top_k is {top_k}; give 1 or more, or None for all")
        self.model, self.top_k, self.language_key = model, top_k, language_key
        self.query_language, self.document_language = query_language, document_language
        self._reranker: Any = None

    def warm_up(self) -> None:
        """Load the reranker."""
        if self._reranker is None:
            self._reranker = loaded(self.model)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best documents, with their scores; those without text count as empty ones."""
        self.warm_up()
        records = [
            Record(
                "",
                one.content or "",
                language=language_in(one.meta, self.language_key, self.document_language),
            )
            for one in documents
        ]
        places = ranked_places(
            self._reranker, query, records, self.query_language, top_k or self.top_k
        )
        return {"documents": [replace(documents[place], score=score) for place, score in places]}

    def to_dict(self) -> dict[str, Any]:
        """For a saved pipeline; a reranker that was given loaded cannot be saved."""
        if not isinstance(self.model, str | dict):
            raise UsageError("a pipeline is saved with its model's name; give that as `model`")
        return default_to_dict(
            self,
            model=self.model,
            top_k=self.top_k,
            query_language=self.query_language,
            document_language=self.document_language,
            language_key=self.language_key,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolyrankRanker:
        """Of a saved pipeline."""
        found: PolyrankRanker = default_from_dict(cls, data)
        return found
