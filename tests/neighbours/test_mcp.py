"""By MCP's own client, in this process."""

import asyncio
import json

import pytest

pytest.importorskip("mcp", reason="needs polyrank[mcp]")

from mcp import Client

from polyrank.neighbours.mcp import server
from polyrank.rerankers.base import Pointwise


class Index:
    """Finds two documents, whatever is asked."""

    def search(self, queries, depth, languages):
        from polyrank.collections.records import ScoredDocument

        self.asked = queries, depth, languages
        return {"query": [ScoredDocument("query", "b", 2.0), ScoredDocument("query", "a", 1.0)]}

    def documents(self, ids):
        from polyrank.collections.records import Document

        return {one: Document(one, f"text of {one}", language="sw") for one in ids}


def call(made, tool, **arguments):
    async def asked():
        async with Client(made) as client:
            tools = {one.name for one in (await client.list_tools()).tools}
            return tools, await client.call_tool(tool, arguments)

    tools, found = asyncio.run(asked())
    if found.is_error:
        return tools, found.content[0].text
    value = found.structured_content
    return tools, value.get("result", value) if value else json.loads(found.content[0].text)


def test_rerank(shortest):
    tools, found = call(server(Pointwise(shortest)), "rerank", query="su", top_n=2,
                        passages=["four", "a", "three"], passage_language="swa")  # fmt: skip
    assert tools == {"rerank", "explain"}
    assert found == [{"index": 1, "score": -1.0}, {"index": 0, "score": -4.0}]
    assert {d.language for _, d in shortest.pairs} == {"sw"}


def test_explain(shortest):
    _, found = call(server(Pointwise(shortest)), "explain", query="su", passage="One. Two two.")
    assert found["score"] == -13.0  # and without a sentence the text is shorter, hence better
    assert found["parts"] == []


def test_search(shortest):
    index = Index()
    made = server(Pointwise(shortest), {"all": index})
    tools, found = call(made, "search", query="su", query_language="tr", languages=["swa"])
    assert "search" in tools and [one["id"] for one in found] == ["b", "a"]
    assert found[0] == {"id": "b", "language": "sw", "score": 2.0, "text": "text of b"}
    assert index.asked[0][0].language == "tr" and index.asked[1:] == (10, ["sw"])
    _, refused = call(made, "search", query="su", index="none")
    assert "there are: all" in refused


def test_too_many_passages_are_refused(shortest):
    _, refused = call(server(Pointwise(shortest)), "rerank", query="su", passages=["a"] * 201)
    assert "at most 200" in refused
