"""Tools for language models, by the Model Context Protocol: rerank, search, explain.

    polyrank mcp --model e5-small --index articles

What they return is small and plain: places, scores, ids and texts, for a model to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_documents
from polyrank.errors import LanguageError, PolyrankError, UsageError
from polyrank.evaluation.explain import explain
from polyrank.languages import tags
from polyrank.neighbours.ranking import ranked_places

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError as error:
    raise PolyrankError(
        f"polyrank.neighbours.mcp needs MCP's Python SDK ({error}); install it with:  pip install "
        "'polyrank[mcp]'"
    ) from error

if TYPE_CHECKING:
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.rerankers.base import Reranker

P = ParamSpec("P")
T = TypeVar("T")

MOST = 200  # passages in one call
SHOWN = 2000  # characters of a text that is found


def told(tool: Callable[P, T]) -> Callable[P, T]:
    """A tool whose messages about bad input reach the model, which can mend it."""

    @wraps(tool)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return tool(*arguments, **options)
        except (LanguageError, UsageError) as error:
            raise ToolError(str(error)) from error

    return wrapped


def server(
    reranker: Reranker, indexes: Mapping[str, MultiVectorIndex] | None = None
) -> MCPServer[Any]:
    """A server of the tools; `run()` answers on standard input and output.

    Args:
        reranker: what ranks and explains.
        indexes: by name, for the tool `search`, which is there when there is one.
    """
    import polyrank

    made: MCPServer[Any] = MCPServer("polyrank", version=polyrank.__version__)

    @made.tool()
    @told
    def rerank(
        query: str,
        passages: list[str],
        top_n: int = 10,
        query_language: str | None = None,
        passage_language: str | None = None,
    ) -> list[dict[str, Any]]:
        """Order passages by how well they answer a query, across languages.

        Languages are BCP-47 tags, such as sw; without them they are identified. Returns the best
        top_n as index (from 0, in the list given) and raw score, higher is better.
        """
        documents = as_documents(_few(passages), _tag(passage_language))
        found = ranked_places(reranker, query, documents, query_language, top_n)
        return [{"index": place, "score": round(score, 6)} for place, score in found]

    @made.tool(name="explain")
    @told
    def explain_(
        query: str,
        passage: str,
        query_language: str | None = None,
        passage_language: str | None = None,
    ) -> dict[str, Any]:
        """Say which words or sentences of a passage answer a query.

        Returns the raw score and parts of the passage, best first, with what each is worth.
        """
        (found,) = explain(reranker, query, passage, _tag(query_language), _tag(passage_language))
        parts = [
            {"text": passage[start:end], "worth": round(worth, 4)}
            for (start, end), worth in found.spans(most=20)
        ]
        return {"score": round(found.score, 6), "parts": parts}

    if indexes:
        _add_search(made, indexes)
    return made


def _add_search(made: MCPServer[Any], indexes: Mapping[str, MultiVectorIndex]) -> None:
    @made.tool()
    @told
    def search(
        query: str,
        top_n: int = 10,
        query_language: str | None = None,
        languages: list[str] | None = None,
        index: str | None = None,
    ) -> list[dict[str, Any]]:
        """Find passages for a query in any language.

        languages leaves only passages in these. Returns id, language, score and text.
        """
        name = index or next(iter(indexes))
        if name not in indexes:
            raise UsageError(f"no index '{name}'; there are: {', '.join(indexes)}")
        asked = Query("query", query, _tag(query_language))
        wanted = [tags.normalise(one) for one in languages or ()] or None
        hits = indexes[name].search([asked], top_n, wanted)["query"]
        texts = indexes[name].documents([hit.document_id for hit in hits])
        return [_shown(texts[hit.document_id], hit.score) for hit in hits]


def _shown(document: Document, score: float) -> dict[str, Any]:
    return {
        "id": document.id,
        "language": document.language,
        "score": round(score, 6),
        "text": document.full_text[:SHOWN],
    }


def _few(passages: list[str]) -> list[str]:
    if len(passages) > MOST:
        raise UsageError(f"{len(passages)} passages in one call; at most {MOST}")
    return passages


def _tag(language: str | None) -> str | None:
    return tags.normalise(language) if language else None
