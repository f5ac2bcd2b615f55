"""Two replicas under a local Ray Serve: the answers of one process."""

import importlib.util
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from polyrank.errors import UsageError
from polyrank.server.ray_serve import application

INSTALLED = all(importlib.util.find_spec(name) for name in ("ray", "grpc"))  # of ray[serve]


@pytest.mark.skipif(INSTALLED, reason="Ray Serve is installed")
def test_without_ray_serve_it_says_what_to_install():
    with pytest.raises(UsageError, match=r"polyrank\[ray-serve\]"):
        application({"toy": "e5-small"})


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs polyrank[ray-serve]")
def test_two_replicas_answer_as_one_process(ray_cluster, default_zoo, post, get):
    from ray import serve

    from polyrank import load_reranker

    documents = ["ab cd", "fgh ij", "a river", "water", "b c d e"]
    bodies = [
        {"query": f"question {i} ab", "documents": documents[: 2 + i % 4], "raw_scores": True,
         "query_language": "en", "document_language": "tr"}
        for i in range(24)
    ]  # fmt: skip
    reranker = load_reranker("e5-small", fallback="none")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        serve.run(application({"own": "e5-small"}, options={"fallback": "none"}, replicas=2))
        (deployed,) = serve.status().applications["default"].deployments.values()
        assert deployed.replica_states == {"RUNNING": 2}
        url = f"http://127.0.0.1:{port}"
        assert get(url + "/health").json == {"status": "ok"}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: post(url + "/v2/rerank", body), bodies))
    finally:
        serve.shutdown()
    for body, answer in zip(bodies, answers, strict=True):
        hits = reranker.rank(body["query"], body["documents"], "en", "tr")
        expected = {int(hit.document_id): hit.score for hit in hits}
        found = {row["index"]: row["relevance_score"] for row in answer.json["results"]}
        assert answer.json["model"] == "own" and found == pytest.approx(expected, abs=1e-5)
