"""Under load: every request gets its own answer, and memory stays as it is."""

import http.client
import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import Toy

pytestmark = pytest.mark.slow

SECONDS, CONNECTIONS = 60, 64
REQUESTS, SETTLED, GROWTH = 10_000, 2_000, 8.0  # requests; those before the first reading; MiB


def ask(connection, body):
    connection.request("POST", "/rerank", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_no_answer_is_lost_mixed_up_or_wrong(start, words):
    """Each query has letters of its own, so the scores of another request would be others."""
    running = start({"toy": Toy()}, step_tokens=2000)

    def connected(number):
        source, until, answers = random.Random(number), time.monotonic() + SECONDS, 0
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)
        while time.monotonic() < until:
            query = words(source.randint(1, 3), source.random())
            texts = [
                words(source.choice([1, 3, 9, 25]), source.random())
                for _ in range(source.choice([1, 2, 5, 20, 60]))
            ]
            body = {"query": query, "documents": texts, "raw_scores": True,
                    "query_language": "en", "document_language": "en"}  # fmt: skip
            status, answer = ask(connection, body)
            assert status == 200
            found = {row["index"]: row["relevance_score"] for row in answer["results"]}
            expected = {place: Toy.one(query, text) for place, text in enumerate(texts)}
            assert found == pytest.approx(expected, abs=1e-6)
            answers += 1
        connection.close()
        return answers

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(connected, range(CONNECTIONS)))
    assert min(answers) >= 1  # nobody starves
    metrics = http.client.HTTPConnection("127.0.0.1", running.port)
    metrics.request("GET", "/metrics")
    counted = re.findall(
        r'^polyrank_requests_total\{.*status="200".*\} ([\d.]+)',
        metrics.getresponse().read().decode(),
        re.MULTILINE,
    )
    assert sum(map(float, counted)) >= sum(answers)


def resident():
    """MiB of this process, in which the server is a thread."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads Linux's /proc")
def test_memory_is_flat_over_ten_thousand_requests(start, default_zoo, words):
    """A tiny model of modules; new texts each time, in languages that come round again."""
    running = start({"own": "e5-small"})
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    for number in range(REQUESTS):
        body = {"query": words(4, number), "documents": [words(6, -number - 1)],
                "query_language": ["en", "tr", "ky"][number % 3],
                "document_language": ["en", "tr"][number % 2]}  # fmt: skip
        status, _ = ask(connection, body)
        assert status == 200
        if number == SETTLED:
            before = resident()
    assert resident() - before < GROWTH
