"""polyrank as a LlamaIndex node postprocessor.

from polyrank.neighbours.llama_index import PolyrankRerank

index.as_query_engine(node_postprocessors=[PolyrankRerank(model="e5-small", top_n=5)])
"""

from __future__ import annotations

from typing import Any

from polyrank.collections.records import Document
from polyrank.errors import PolyrankError, UsageError
from polyrank.neighbours.ranking import language_in, loaded, ranked_places

try:
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.llama_index needs LlamaIndex ({error}); install it with:  pip "
        "install 'polyrank[llama-index]'"
    ) from error


class PolyrankRerank(BaseNodePostprocessor):
    """Keeps the best nodes, best first, with raw scores.

    Attributes:
        model: what `load_reranker` takes, or a reranker.
        top_n: nodes that are kept; None keeps all.
        query_language: of all queries; None identifies it.
        document_language: of nodes whose metadata names none; None identifies it.
        language_key: where metadata names a node's language.
    """

    model: Any = Field(default="e5-small", exclude=True)
    top_n: int | None = 5
    query_language: str | None = None
    document_language: str | None = None
    language_key: str = "language"
    _reranker: Any = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        """Load the reranker."""
        super().model_post_init(context)
        self._reranker = loaded(self.model)

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex shows."""
        return "PolyrankRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise UsageError("reranking needs the query; call postprocess_nodes with query_str")
        records = [
            Document(
                "",
                one.node.get_content(metadata_mode=MetadataMode.NONE),
                language=language_in(one.node.metadata, self.language_key, self.document_language),
            )
            for one in nodes
        ]
        asked = query_bundle.query_str
        places = ranked_places(self._reranker, asked, records, self.query_language, self.top_n)
        return [NodeWithScore(node=nodes[place].node, score=score) for place, score in places]
