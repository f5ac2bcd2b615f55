"""polyrank as a LangChain document compressor.

from polyrank.neighbours.langchain import PolyrankRerank

compressor = PolyrankRerank(model="e5-small", top_n=5)
ContextualCompressionRetriever(base_compressor=compressor, base_retriever=retriever)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyrank.collections.records import Document as Record
from polyrank.errors import PolyrankError
from polyrank.neighbours.ranking import language_in, loaded, ranked_places

try:
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict, PrivateAttr
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.langchain needs LangChain ({error}); install it with:  pip install "
        "'polyrank[langchain]'"
    ) from error


class PolyrankRerank(BaseDocumentCompressor):
    """Keeps the best documents, best first, with their raw scores as `relevance_score`.

    Attributes:
        model: what `load_reranker` takes, or a reranker.
        top_n: documents that are kept; None keeps all.
        query_language: of all queries; None identifies it.
        document_language: of documents whose metadata names none; None identifies it.
        language_key: where metadata names a document's language.
    """

    model: Any = "e5-small"
    top_n: int | None = 5
    query_language: str | None = None
    document_language: str | None = None
    language_key: str = "language"

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", protected_namespaces=())
    _reranker: Any = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        """Load the reranker."""
        super().model_post_init(context)
        self._reranker = loaded(self.model)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents that are kept; those given stay as they are."""
        records = [
            Record(
                "",
                one.page_content,
                language=language_in(one.metadata, self.language_key, self.document_language),
            )
            for one in documents
        ]
        places = ranked_places(self._reranker, query, records, self.query_language, self.top_n)
        return [
            documents[place].model_copy(
                update={"metadata": {**documents[place].metadata, "relevance_score": score}}
            )
            for place, score in places
        ]
