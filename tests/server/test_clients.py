"""The real clients, unmodified: what they read is what `rank` says in process.

pip install cohere voyageai infinity_client litellm langchain-cohere langchain-voyageai
    langchain-community haystack-ai cohere-haystack jina-haystack huggingface-api-haystack
    llama-index-postprocessor-{cohere,jinaai,tei}-rerank
"""

import math

import pytest

from polyrank.rerankers.base import Pointwise

pytestmark = pytest.mark.slow

QUERY = "abc cab"
TEXTS = ["abc abc abc", "xyz", "a b", "cab", "c"]


@pytest.fixture
def expected(toy):
    """(index, relevance) of the best three, in process."""
    hits = Pointwise(toy).rank(QUERY, TEXTS)[:3]
    return [
        (int(hit.document_id), pytest.approx(1 / (1 + math.exp(-hit.score)), rel=1e-6))
        for hit in hits
    ]


def rows(results):
    return [(row.index, row.relevance_score) for row in results]


@pytest.mark.parametrize("version", ["Client", "ClientV2"])
def test_cohere(server, expected, version):
    cohere = pytest.importorskip("cohere")
    client = getattr(cohere, version)("a key", base_url=server.url)
    answer = client.rerank(model="toy", query=QUERY, documents=TEXTS, top_n=3)
    assert rows(answer.results) == expected
    assert answer.meta.billed_units.search_units == 1


def test_coheres_errors(server):
    cohere = pytest.importorskip("cohere")
    from cohere.errors import NotFoundError, UnprocessableEntityError

    client = cohere.ClientV2("a key", base_url=server.url)
    with pytest.raises(NotFoundError):
        client.rerank(model="other", query=QUERY, documents=TEXTS)
    with pytest.raises(UnprocessableEntityError):
        client.rerank(model="toy", query="", documents=TEXTS)


def test_voyage(server, expected):
    voyageai = pytest.importorskip("voyageai")
    client = voyageai.Client(api_key="a key", base_url=server.url + "/v1")
    answer = client.rerank(QUERY, TEXTS, model="toy", top_k=3)
    assert rows(answer.results) == expected
    assert [one.document for one in answer.results] == [TEXTS[i] for i, _ in rows(answer.results)]
    assert answer.total_tokens > 0


def test_infinity(server, expected):
    pytest.importorskip("infinity_client")
    from infinity_client import Client
    from infinity_client.api.default import rerank
    from infinity_client.models import RerankInput

    body = RerankInput(query=QUERY, documents=TEXTS, model="toy", top_n=3)
    answer = rerank.sync(client=Client(base_url=server.url), body=body)
    assert rows(answer.results) == expected


def test_langchain_cohere(server, expected):
    pytest.importorskip("langchain_cohere")
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    reranker = CohereRerank(model="toy", cohere_api_key="a key", base_url=server.url, top_n=3)
    found = reranker.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    scores = [(TEXTS.index(d.page_content), d.metadata["relevance_score"]) for d in found]
    assert scores == expected


def test_langchain_voyage(server, expected):
    pytest.importorskip("langchain_voyageai")
    from langchain_core.documents import Document
    from langchain_voyageai import VoyageAIRerank

    at = server.url + "/v1"
    reranker = VoyageAIRerank(model="toy", voyage_api_key="a key", base_url=at, top_k=3)
    found = reranker.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    scores = [(TEXTS.index(d.page_content), d.metadata["relevance_score"]) for d in found]
    assert scores == expected


def test_langchain_infinity(server, expected):
    pytest.importorskip("infinity_client")
    module = pytest.importorskip("langchain_community.document_compressors.infinity_rerank")
    from infinity_client import Client
    from langchain_core.documents import Document

    reranker = module.InfinityRerank(client=Client(base_url=server.url), model="toy", top_n=3)
    found = reranker.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    scores = [(TEXTS.index(d.page_content), d.metadata["relevance_score"]) for d in found]
    assert scores == expected


WAYS = ["cohere", "jina_ai", "hosted_vllm", "huggingface", "voyage", "litellm_proxy"]


@pytest.mark.parametrize("way", WAYS)
def test_litellm(server, expected, way):
    litellm = pytest.importorskip("litellm")
    answer = litellm.rerank(
        model=f"{way}/toy", query=QUERY, documents=TEXTS, top_n=3,
        api_base=server.url, api_key="a key",
    )  # fmt: skip
    assert [(row["index"], row["relevance_score"]) for row in answer.results] == expected


def test_litellm_infinity(server, expected):
    """It takes documents of an answer as strings alone, so it must not ask for them."""
    litellm = pytest.importorskip("litellm")
    answer = litellm.rerank(
        model="infinity/toy", query=QUERY, documents=TEXTS, top_n=3, return_documents=False,
        api_base=server.url, api_key="a key",
    )  # fmt: skip
    assert [(row["index"], row["relevance_score"]) for row in answer.results] == expected


def _tei(url):
    module = pytest.importorskip("llama_index.postprocessor.tei_rerank")
    return module.TextEmbeddingInference(base_url=url, top_n=3)


def _jina(url):
    module = pytest.importorskip("llama_index.postprocessor.jinaai_rerank")
    return module.JinaRerank(base_url=url + "/v1", model="toy", api_key="a key", top_n=3)


def _cohere(url):
    module = pytest.importorskip("llama_index.postprocessor.cohere_rerank")
    return module.CohereRerank(base_url=url, model="toy", api_key="a key", top_n=3)


@pytest.mark.parametrize("client", [_tei, _jina, _cohere])
def test_llama_index(server, expected, client):
    schema = pytest.importorskip("llama_index.core.schema")
    nodes = [schema.NodeWithScore(node=schema.TextNode(text=text), score=0.0) for text in TEXTS]
    found = client(server.url).postprocess_nodes(nodes, query_str=QUERY)
    assert [(TEXTS.index(one.node.get_content()), one.score) for one in found] == expected


def _tei_ranker(url):
    module = pytest.importorskip("haystack_integrations.components.rankers.huggingface_api")
    return module.HuggingFaceTEIRanker(url=url, top_k=3)


def _cohere_ranker(url):
    module = pytest.importorskip("haystack_integrations.components.rankers.cohere")
    from haystack.utils import Secret

    key = Secret.from_token("a key")
    return module.CohereRanker(model="toy", api_base_url=url, api_key=key, top_k=3)


def _jina_ranker(url):
    module = pytest.importorskip("haystack_integrations.components.rankers.jina")
    from haystack.utils import Secret

    at = url + "/v1/rerank"
    return module.JinaRanker(model="toy", base_url=at, api_key=Secret.from_token("a key"), top_k=3)


@pytest.mark.parametrize("client", [_tei_ranker, _cohere_ranker, _jina_ranker])
def test_haystack(server, expected, client):
    haystack = pytest.importorskip("haystack")
    documents = [haystack.Document(content=text) for text in TEXTS]
    found = client(server.url).run(query=QUERY, documents=documents)["documents"]
    assert [(TEXTS.index(one.content), one.score) for one in found] == expected
